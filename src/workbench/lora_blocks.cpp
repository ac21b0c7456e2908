#include "workbench/lora_blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/fields.h"
#include "base/step_weights.h"
#include "base/text_tools.h"

namespace fourstep {
namespace {

/// The number behind `stem` in "input_blocks.4.1.proj_in"; nothing for other names.
std::optional<int> number_after(const std::string& name, const std::string& stem) {
  if (!name.starts_with(stem)) return std::nullopt;
  int number = 0;
  const char* begin = name.data() + stem.size();
  const auto [end, error] = std::from_chars(begin, name.data() + name.size(), number);
  return error == std::errc() && end != begin ? std::optional(number) : std::nullopt;
}

std::vector<std::string> numbered(const std::string& stem, int first, int last) {
  std::vector<std::string> names;
  for (int i = first; i <= last; ++i) names.push_back(fmt::format("{}{:02d}", stem, i));
  return names;
}

std::vector<std::string> join_lists(const std::vector<std::vector<std::string>>& lists) {
  std::vector<std::string> joined;
  for (const auto& list : lists) joined.insert(joined.end(), list.begin(), list.end());
  return joined;
}

/// The blocks of a list of `count` numbers; empty when there is no such list.
/// Source: sd-webui-lora-block-weight (SDXL, SD 1.5, each short and full).
std::vector<std::string> listed_blocks(size_t count) {
  switch (count) {
    case 12:
      return join_lists({{"BASE", "IN04", "IN05", "IN07", "IN08", "MID"}, numbered("OUT", 0, 5)});
    case 17:
      return join_lists({{"BASE", "IN01", "IN02", "IN04", "IN05", "IN07", "IN08", "MID"},
                         numbered("OUT", 3, 11)});
    case 20:
      return join_lists({{"BASE"}, numbered("IN", 0, 8), {"MID"}, numbered("OUT", 0, 8)});
    case 26:
      return join_lists({{"BASE"}, numbered("IN", 0, 11), {"MID"}, numbered("OUT", 0, 11)});
    default:
      return {};
  }
}

struct Preset {
  const char *name, *numbers;  ///< of the 17 blocks
};

/// Source: sd-webui-lora-block-weight, the presets that it comes with.
constexpr Preset kPresets[] = {
    {"NONE", "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"},  {"ALL", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"},
    {"INS", "1,1,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0"},   {"IND", "1,0,0,0,1,1,1,0,0,0,0,0,0,0,0,0,0"},
    {"INALL", "1,1,1,1,1,1,1,0,0,0,0,0,0,0,0,0,0"}, {"MIDD", "1,0,0,0,1,1,1,1,1,1,1,1,0,0,0,0,0"},
    {"OUTD", "1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0"},  {"OUTS", "1,0,0,0,0,0,0,0,0,0,0,0,1,1,1,1,1"},
    {"OUTALL", "1,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1"}};

const Preset* find_preset(const std::string& name) {
  const auto* found = std::find_if(std::begin(kPresets), std::end(kPresets),
                                   [&](const Preset& preset) { return preset.name == name; });
  return found == std::end(kPresets) ? nullptr : found;
}

double parse_weight(const std::string& text) {
  const std::optional<double> value = finite_number(text);
  if (!value) {
    throw InvalidRequest(
        "--block-weights: \"{}\" is no number (random and ramp entries of the extension are not "
        "supported)",
        trimmed(text));
  }
  check_weight("--block-weights", *value);
  return *value;
}

/// 0 text encoders, 1 IN, 2 MID, 3 OUT, 4 the rest.
int rank_of_block(const std::string& block) {
  if (block == "BASE" || block.starts_with("TE")) return 0;
  if (block.starts_with("IN")) return 1;
  if (block == "MID") return 2;
  return block.starts_with("OUT") ? 3 : 4;
}

bool is_block_name(const std::string& name) {
  const std::vector<std::string> all = listed_blocks(26);
  return name == "OTHER" || std::find(all.begin(), all.end(), name) != all.end();
}

bool is_path(const std::string& name) {
  constexpr std::array kBeginnings = {"down_blocks", "mid_block", "up_blocks",  "time_emb",
                                      "add_emb",     "conv_",     "text_model", "text_projection"};
  return std::any_of(kBeginnings.begin(), kBeginnings.end(),
                     [&](const char* beginning) { return name.starts_with(beginning); });
}

/// "down_blocks.1" begins "down_blocks.1.attentions.0", not "down_blocks.10".
bool begins(const std::string& path, const std::string& name) {
  return name.starts_with(path) &&
         (name.size() == path.size() || path.ends_with('.') || name[path.size()] == '.');
}

}  // namespace

std::string block_of(const ParameterId& id, const LoraLayout& layout) {
  if (id.component != Component::kUnet) return "BASE";
  const std::string ldm = ldm_module(layout, id.name);
  if (const auto n = number_after(ldm, "input_blocks.")) return fmt::format("IN{:02d}", *n);
  if (const auto n = number_after(ldm, "output_blocks.")) return fmt::format("OUT{:02d}", *n);
  return ldm.starts_with("middle_block") ? "MID" : "OTHER";
}

std::string shown_block(const ParameterId& id, const LoraLayout& layout) {
  if (id.component == Component::kTextEncoder) return "TE1";
  return id.component == Component::kTextEncoder2 ? "TE2" : block_of(id, layout);
}

bool BlockOrder::operator()(const std::string& a, const std::string& b) const {
  return std::pair(rank_of_block(a), a) < std::pair(rank_of_block(b), b);
}

BlockWeights parse_block_weights(const std::string& text) {
  BlockWeights weights;
  if (trimmed(text).empty()) return weights;
  if (const Preset* preset = find_preset(trimmed(text))) {
    return parse_block_weights(preset->numbers);
  }
  const std::vector<std::string> parts = split_text(text, ',');
  if (text.find('=') == std::string::npos) {
    const std::vector<std::string> blocks = listed_blocks(parts.size());
    if (blocks.empty()) {
      throw InvalidRequest(
          "--block-weights: \"{}\": expected 12, 17, 20 or 26 numbers, NAME=NUMBER,... or one of "
          "the "
          "presets NONE, ALL, INS, IND, INALL, MIDD, OUTD, OUTS, OUTALL",
          trimmed(text));
    }
    for (size_t i = 0; i < parts.size(); ++i) weights.by_name[blocks[i]] = parse_weight(parts[i]);
    for (const std::string& block : listed_blocks(26)) weights.by_name.try_emplace(block, 0.0);
    return weights;
  }
  for (const std::string& part : parts) {
    const size_t sign = part.find('=');
    const std::string name = trimmed(part.substr(0, sign));
    if (sign == std::string::npos || !(is_block_name(name) || is_path(name))) {
      throw InvalidRequest(
          "--block-weights: \"{}\": expected NAME=NUMBER with a block (BASE, IN00-IN11, MID, "
          "OUT00-OUT11, OTHER) or the beginning of a module's name (down_blocks.1)",
          trimmed(part));
    }
    weights.by_name[name] = parse_weight(part.substr(sign + 1));
  }
  return weights;
}

double weight_of(const BlockWeights& weights, const ParameterId& id, const LoraLayout& layout) {
  const std::string block = block_of(id, layout);
  double weight = 1;
  for (const auto& [name, value] : weights.by_name) {
    if (name == block || begins(name, id.name)) weight *= value;
  }
  return weight;
}

}  // namespace fourstep
