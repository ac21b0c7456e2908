#include "text/textual_inversion.h"

#include <algorithm>

#include "base/error.h"
#include "base/text_tools.h"
#include "text/prompt_scan.h"

namespace fourstep {
namespace {

constexpr std::string_view kReference = "embedding:";

TokenPart vectors_part(const InversionTable& table, size_t index, size_t encoder, double weight) {
  TokenPart part{TokenPart::Kind::kVectors, {}};
  const Tensor vectors = table.vectors(index, encoder);
  for (int64_t i = 0; i < vectors.size(0); ++i) part.tokens.push_back({0, weight, vectors[i]});
  return part;
}

TokenPart text_part(const std::vector<int64_t>& ids, double weight) {
  TokenPart part;
  for (const int64_t id : ids) part.tokens.push_back({id, weight});
  return part;
}

std::string_view stem_of_name(std::string_view name) { return name.substr(name.rfind('/') + 1); }

/// The tokens of a name, and which name it is.
struct TokenizedName {
  std::vector<int64_t> ids;
  size_t index;
};

std::vector<TokenizedName> tokenize_names(const PromptTokenizer& tokenizer,
                                          const InversionTable& table) {
  std::vector<TokenizedName> names;
  for (size_t i = 0; i < table.names.size(); ++i) {
    std::vector<int64_t> ids = tokenizer.encode(stem_of_name(table.names[i]));
    if (!ids.empty()) names.push_back({std::move(ids), i});
  }
  std::stable_sort(names.begin(), names.end(),
                   [](const auto& a, const auto& b) { return a.ids.size() > b.ids.size(); });
  return names;
}

const TokenizedName* find_name(const std::vector<TokenizedName>& names,
                               std::span<const int64_t> ids) {
  for (const TokenizedName& name : names) {
    if (name.ids.size() <= ids.size() &&
        std::equal(name.ids.begin(), name.ids.end(), ids.begin())) {
      return &name;
    }
  }
  return nullptr;
}

/// Where "embedding:" stands behind a blank, a line end or nothing.
size_t find_reference(std::string_view text, size_t from) {
  for (size_t at = text.find(kReference, from); at != std::string_view::npos;
       at = text.find(kReference, at + 1)) {
    if (at == 0 || text[at - 1] == ' ' || text[at - 1] == '\n') return at;
  }
  return std::string_view::npos;
}

std::optional<size_t> index_of(const InversionTable& table, std::string_view name) {
  const std::string wanted = lower_ascii(name);
  for (size_t i = 0; i < table.names.size(); ++i) {
    const std::string known = lower_ascii(table.names[i]);
    const bool has_extension = wanted.starts_with(known + ".");
    if (wanted == known || wanted == stem_of_name(known) || has_extension) return i;
  }
  return std::nullopt;
}

}  // namespace

std::vector<TokenPart> tokenize_with_names(const PromptTokenizer& tokenizer, std::string_view text,
                                           double weight, const InversionTable& table,
                                           size_t encoder) {
  const std::vector<int64_t> ids = tokenizer.encode(text);
  const std::vector<TokenizedName> names = tokenize_names(tokenizer, table);
  std::vector<TokenPart> parts;
  for (size_t i = 0; i < ids.size();) {
    if (const TokenizedName* name = find_name(names, std::span(ids).subspan(i))) {
      parts.push_back(vectors_part(table, name->index, encoder, weight));
      i += name->ids.size();
      continue;
    }
    if (parts.empty() || parts.back().kind != TokenPart::Kind::kText) parts.emplace_back();
    parts.back().tokens.push_back({ids[i++], weight});
  }
  return parts;
}

std::vector<TokenPart> tokenize_with_references(const PromptTokenizer& tokenizer,
                                                std::string_view text, double weight,
                                                const InversionTable& table, size_t encoder) {
  std::vector<TokenPart> parts;
  const auto add_text = [&](std::string_view words) {
    if (!words.empty()) parts.push_back(text_part(tokenizer.encode(words), weight));
  };
  while (true) {
    const size_t at = find_reference(text, 0);
    add_text(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + kReference.size());
    const size_t end = std::min(text.find_first_of(" \n\t\r"), text.size());
    std::string_view name = text.substr(0, end);
    std::optional<size_t> index = index_of(table, name);
    if (!index) {
      name = name.substr(0, name.find(','));
      index = index_of(table, name);
    }
    if (!index) {
      throw InvalidRequest(
          "embedding:{}: no embedding of this name; there are {} in the folders of --embedding-dir "
          "and the LoRAs in use",
          name, table.names.size());
    }
    parts.push_back(vectors_part(table, *index, encoder, weight));
    text.remove_prefix(name.size());
  }
}

bool has_inversion_reference(std::string_view text) {
  return find_reference(text, 0) != std::string_view::npos;
}

}  // namespace fourstep
