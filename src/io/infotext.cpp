#include "io/infotext.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "io/text_encoding.h"

namespace fourstep {
namespace {

using Fields = decltype(Infotext::fields);

constexpr std::string_view kBlanks = " \t\r\n\v\f";
constexpr std::string_view kNegativePrompt = "Negative prompt:";
constexpr size_t kMinPairs = 3;

std::string_view stripped(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

/// Letters, digits and "_" of any script; above ASCII the blocks of signs, punctuation and emoji
/// are left out.
bool is_word_character(char32_t code) {
  if (code < 0x80) {
    const auto c = static_cast<char>(code);
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  }
  constexpr std::pair<char32_t, char32_t> kSigns[] = {
      {0x80, 0xA9},     {0xAB, 0xB1},     {0xB6, 0xB8},     {0xBB, 0xBB},      {0xBF, 0xBF},
      {0xD7, 0xD7},     {0xF7, 0xF7},     {0x2000, 0x206F}, {0x2190, 0x2BFF},  {0x3000, 0x3004},
      {0x3008, 0x3020}, {0xE000, 0xF8FF}, {0xFE10, 0xFE6F}, {0xFF01, 0xFF0F},  {0xFF1A, 0xFF20},
      {0xFF3B, 0xFF40}, {0xFF5B, 0xFF65}, {0xFFE0, 0xFFFF}, {0x1F000, 0x1FAFF}};
  return std::none_of(std::begin(kSigns), std::end(kSigns), [code](const auto& block) {
    return code >= block.first && code <= block.second;
  });
}

/// Moves `at` to the first word character from there on, or to the end.
void skip_to_word(std::string_view text, size_t& at) {
  while (at < text.size()) {
    const size_t begin = at;
    const auto code = next_code_point(text, at);
    if (code && is_word_character(*code)) {
      at = begin;
      return;
    }
  }
}

/// The end of the run of key characters that begins at `at`.
size_t key_end(std::string_view text, size_t at) {
  while (at < text.size()) {
    const size_t begin = at;
    const auto code = next_code_point(text, at);
    if (!code) return begin;
    const bool is_extra = *code == ' ' || *code == '-' || *code == '/';
    if (!is_extra && !is_word_character(*code)) return begin;
  }
  return at;
}

bool is_key(std::string_view key) {
  size_t at = 0;
  skip_to_word(key, at);
  if (key.empty() || at != 0 || key_end(key, 0) != key.size()) return false;
  next_code_point(key, at);
  return at < key.size();  // two characters or more
}

/// The place behind the string that opens at `at`, or npos when it does not close.
size_t string_end(std::string_view text, size_t at) {
  for (size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      return i + 1;
  }
  return std::string_view::npos;
}

/// The place behind the JSON object or list that opens at `at`, or npos. Only brackets and strings
/// count.
size_t brackets_end(std::string_view text, size_t at) {
  size_t depth = 0;
  for (size_t i = at; i < text.size(); ++i) {
    if (text[i] == '"') {
      i = string_end(text, i);
      if (i == std::string_view::npos) return i;
      --i;
    }
    if (text[i] == '{' || text[i] == '[') ++depth;
    if ((text[i] == '}' || text[i] == ']') && --depth == 0) return i + 1;
  }
  return std::string_view::npos;
}

/// Finds the ends of values. Nested brackets that lead nowhere could make it read a hostile line
/// again and again, so after a few of them brackets are taken as plain text.
struct ValueScanner {
  std::string_view text;
  int num_misses = 0;

  /// The end of the value that begins at `at`: of a string or JSON when a comma or the end follows
  /// it, else the next comma.
  size_t value_end(size_t at) {
    constexpr int kMaxMisses = 64;
    size_t end = std::string_view::npos;
    const char first = at < text.size() ? text[at] : '\0';
    const bool is_json = (first == '{' || first == '[') && num_misses < kMaxMisses;
    if (first == '"') end = string_end(text, at);
    if (is_json) end = brackets_end(text, at);
    if (end != std::string_view::npos && (end == text.size() || text[end] == ',')) return end;
    num_misses += is_json;
    return std::min(text.find(',', at), text.size());
  }
};

std::string unquoted(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::string(value);
  const auto json = nlohmann::json::parse(value, nullptr, /*allow_exceptions=*/false);
  return json.is_string() ? json.get<std::string>() : std::string(value);
}

Fields parse_pairs(std::string_view line) {
  Fields pairs;
  ValueScanner scanner{line};
  for (size_t at = 0;;) {
    skip_to_word(line, at);
    if (at == line.size()) return pairs;
    const size_t end = key_end(line, at);
    const std::string_view key = line.substr(at, end - at);
    at = end;
    if (end == line.size() || line[end] != ':' || !is_key(key)) continue;
    const size_t value_begin = std::min(line.find_first_not_of(kBlanks, end + 1), line.size());
    at = scanner.value_end(value_begin);
    pairs.emplace_back(key, unquoted(line.substr(value_begin, at - value_begin)));
  }
}

/// The later value of a key at the place of the earlier one.
Fields without_duplicates(Fields pairs) {
  Fields fields;
  std::map<std::string, size_t> places;
  for (auto& [key, value] : pairs) {
    const auto [place, is_new] = places.emplace(key, fields.size());
    if (is_new) {
      fields.emplace_back(std::move(key), std::move(value));
    } else {
      fields[place->second].second = std::move(value);
    }
  }
  return fields;
}

void add_line(std::string& text, std::string_view line) {
  if (!text.empty()) text += '\n';
  text += line;
}

/// A1111's write order. Keys that are in neither list stand between the two.
constexpr std::string_view kFirstKeys[] = {"Steps",
                                           "Sampler",
                                           "Schedule type",
                                           "CFG scale",
                                           "Distilled CFG Scale",
                                           "Image CFG scale",
                                           "Seed",
                                           "Face restoration",
                                           "Size",
                                           "Model hash",
                                           "Model",
                                           "FP8 weight",
                                           "Cache FP16 weight for LoRA",
                                           "VAE hash",
                                           "VAE",
                                           "Variation seed",
                                           "Variation seed strength",
                                           "Seed resize from",
                                           "Denoising strength",
                                           "Conditional mask weight",
                                           "Clip skip",
                                           "ENSD",
                                           "Token merging ratio",
                                           "Token merging ratio hr",
                                           "Init image hash",
                                           "RNG",
                                           "Tiling"};
constexpr std::string_view kLastKeys[] = {"Version", "User", "Diffusion in Low Bits"};

/// Position in the write order; equal for keys that keep their own order.
size_t rank_of(std::string_view key) {
  constexpr size_t kOthers = std::size(kFirstKeys);
  const auto* first = std::find(std::begin(kFirstKeys), std::end(kFirstKeys), key);
  if (first != std::end(kFirstKeys)) return static_cast<size_t>(first - std::begin(kFirstKeys));
  const auto* last = std::find(std::begin(kLastKeys), std::end(kLastKeys), key);
  if (last != std::end(kLastKeys))
    return kOthers + 1 + static_cast<size_t>(last - std::begin(kLastKeys));
  const bool is_module = key.starts_with("Module ") && key.size() > 7 &&
                         key.find_first_not_of("0123456789", 7) == std::string_view::npos;
  return is_module ? kOthers + 1 + std::size(kLastKeys) : kOthers;
}

/// True for what sites write without quotes and value_end() reads whole.
bool is_bare_json(std::string_view key, std::string_view value) {
  const bool is_known = key == "Hashes" || key == "Civitai resources" || key == "Civitai metadata";
  if (!is_known || (value[0] != '{' && value[0] != '[')) return false;
  return brackets_end(value, 0) == value.size() && value.find('\n') == std::string_view::npos;
}

bool needs_quotes(std::string_view value) {
  const bool has_control = std::any_of(value.begin(), value.end(),
                                       [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  const bool has_bracket = value.front() == '{' || value.front() == '[';
  const bool is_unclosed = has_bracket && brackets_end(value, 0) != value.size();
  return has_control || is_unclosed || value.front() == '"' ||
         value.find_first_of(",:") != std::string_view::npos ||
         stripped(value).size() != value.size();
}

std::string format_field(const std::string& key, const std::string& value) {
  if (!is_key(key)) {
    throw Error(
        "format_infotext: key \"{}\", expected two or more letters, digits, \"_\", \"-\", \"/\" or "
        "blanks that begin with a letter, digit or \"_\"",
        key);
  }
  if (key == value) return key;
  if (is_bare_json(key, value) || !needs_quotes(value)) return key + ": " + value;
  const auto replace = nlohmann::json::error_handler_t::replace;
  return key + ": " + nlohmann::json(value).dump(-1, ' ', /*ensure_ascii=*/false, replace);
}

}  // namespace

const std::string* Infotext::find(std::string_view key) const {
  for (const auto& [name, value] : fields) {
    if (name == key) return &value;
  }
  return nullptr;
}

Infotext parse_infotext(std::string_view text) {
  Infotext out;
  text = stripped(text);
  const size_t last_break = text.rfind('\n');
  const size_t last_begin = last_break == std::string_view::npos ? 0 : last_break + 1;
  auto pairs = parse_pairs(text.substr(last_begin));
  if (pairs.size() >= kMinPairs) {
    text = text.substr(0, last_begin == 0 ? 0 : last_break);
  } else {
    pairs.clear();
  }
  bool is_negative = false;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = stripped(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!is_negative && line.starts_with(kNegativePrompt)) {
      is_negative = true;
      line = stripped(line.substr(kNegativePrompt.size()));
    }
    add_line(is_negative ? out.negative_prompt : out.prompt, line);
  }
  out.fields = without_duplicates(std::move(pairs));
  return out;
}

std::string format_infotext(const Infotext& infotext) {
  auto fields = infotext.fields;
  std::erase_if(fields, [](const auto& field) { return field.second.empty(); });
  std::stable_sort(fields.begin(), fields.end(), [](const auto& a, const auto& b) {
    return rank_of(a.first) < rank_of(b.first);
  });
  std::string text = infotext.prompt;
  if (!infotext.negative_prompt.empty()) {
    text += "\n" + std::string(kNegativePrompt) + " " + infotext.negative_prompt;
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    text += (i == 0 ? "\n" : ", ") + format_field(fields[i].first, fields[i].second);
  }
  return std::string(stripped(text));
}

}  // namespace fourstep
