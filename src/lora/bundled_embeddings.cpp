#include "lora/bundled_embeddings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace fourstep {
namespace {

constexpr std::string_view kBundlePrefix = "bundle_emb.";
constexpr std::string_view kParameters = ".string_to_param.";

/// Longest first among those that end alike.
constexpr std::array<std::string_view, 6> kParts = {"clip_l",     "clip_g",     "emb_params",
                                                    "clip_l_out", "clip_g_out", "emb_params_out"};

bool has_same_vectors(const NamedTensors& a, const NamedTensors& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [part, tensor] : a) {
    const auto other = b.find(part);
    if (other == b.end() || tensor.sizes() != other->second.sizes()) return false;
    if (!torch::equal(aligned(tensor).to(torch::kDouble),
                      aligned(other->second).to(torch::kDouble))) {
      return false;
    }
  }
  return true;
}

bool is_known_part(const std::string& part) {
  for (const std::string_view known : kParts) {
    if (part == known) return true;
  }
  return false;
}

}  // namespace

std::optional<BundledKey> split_bundled_key(const std::string& key) {
  if (!key.starts_with(kBundlePrefix)) return std::nullopt;
  const std::string rest = key.substr(kBundlePrefix.size());
  BundledKey split;
  const size_t parameters = rest.find(kParameters);
  if (parameters != std::string::npos) {
    split = {rest.substr(0, parameters), rest.substr(parameters + kParameters.size())};
  } else {
    const size_t last = rest.rfind('.');
    if (last == std::string::npos) return std::nullopt;
    const bool is_known = is_known_part(rest.substr(last + 1));
    const size_t dot = is_known ? last : rest.find('.');
    split = {rest.substr(0, dot), rest.substr(dot + 1)};
  }
  if (split.name.empty() || split.part.empty()) return std::nullopt;
  return split;
}

bool is_output_part(const std::string& part) {
  return part.ends_with("_out") && is_known_part(part);
}

std::string names_text(const BundledEmbeddings& embeddings) {
  std::vector<std::string> names;
  for (const auto& [name, tensors] : embeddings) names.push_back(name);
  return fmt::format("{}", fmt::join(names, ", "));
}

void add_embeddings(BundledEmbeddings& all, const BundledEmbeddings& more,
                    const std::string& what) {
  for (const auto& [name, tensors] : more) {
    const auto [known, is_new] = all.emplace(name, tensors);
    if (is_new || has_same_vectors(known->second, tensors)) continue;
    throw InvalidRequest(
        "{}: the embedding \"{}\" bundled in it has other vectors than the one of the same name in "
        "another file; leave one of the files out, or rename the embedding's keys in it",
        what, name);
  }
}

NamedTensors bundled_tensors(const BundledEmbeddings& embeddings) {
  NamedTensors tensors;
  for (const auto& [name, parts] : embeddings) {
    for (const auto& [part, tensor] : parts) {
      const bool is_plain = is_known_part(part);
      const std::string_view between = is_plain ? "." : kParameters;
      tensors[fmt::format("{}{}{}{}", kBundlePrefix, name, between, part)] = tensor;
    }
  }
  return tensors;
}

}  // namespace fourstep
