#include "text/network_tags.h"

#include <fmt/format.h>

#include "base/error.h"
#include "text/prompt_scan.h"

namespace fourstep {
namespace {

bool is_type_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;  // letters of other alphabets
}

NetworkTag tag_of(std::string_view type, std::string_view items) {
  NetworkTag tag{std::string(type), {}, {}};
  while (true) {
    const size_t end = std::min(items.find(':'), items.size());
    const std::string_view item = items.substr(0, end);
    const size_t sign = item.find('=');
    if (sign == std::string_view::npos || item.find('=', sign + 1) != std::string_view::npos) {
      tag.positional.emplace_back(item);
    } else {
      tag.named[std::string(item.substr(0, sign))] = item.substr(sign + 1);
    }
    if (end == items.size()) return tag;
    items.remove_prefix(end + 1);
  }
}

StepWeights weights_of(const LoraTag& lora, std::string_view text) {
  return step_weights_from_text(fmt::format("<lora:{}:...>", lora.name), text);
}

}  // namespace

TaggedPrompt parse_network_tags(std::string_view prompt) {
  TaggedPrompt result;
  size_t copied = 0, last_close = prompt.rfind('>');
  if (last_close == std::string_view::npos) last_close = 0;
  for (size_t open = prompt.find('<'); open < last_close; open = prompt.find('<', open + 1)) {
    size_t colon = open + 1;
    while (colon < last_close && is_type_character(prompt[colon])) ++colon;
    const bool has_type = colon > open + 1 && prompt[colon] == ':';
    if (!has_type || prompt[colon + 1] == '>') continue;
    const size_t close = prompt.find('>', colon);
    result.tags.push_back(tag_of(prompt.substr(open + 1, colon - open - 1),
                                 prompt.substr(colon + 1, close - colon - 1)));
    result.text += prompt.substr(copied, open - copied);
    copied = close + 1;
    open = close;
  }
  result.text += prompt.substr(copied);
  return result;
}

std::optional<LoraTag> lora_tag(const NetworkTag& tag) {
  if (tag.type != "lora" && tag.type != "lyco") return std::nullopt;
  LoraTag lora;
  if (!tag.positional.empty()) lora.name = without_blanks(tag.positional[0]);
  if (lora.name.empty()) {
    throw InvalidRequest("<{}:...>: the tag names no LoRA; write <lora:NAME:WEIGHT>", tag.type);
  }
  const auto weights = [&](size_t place, const char* key) -> std::optional<StepWeights> {
    if (const auto named = tag.named.find(key); named != tag.named.end()) {
      return weights_of(lora, named->second);
    }
    if (tag.positional.size() > place) return weights_of(lora, tag.positional[place]);
    return std::nullopt;
  };
  const StepWeights text = weights(1, "te").value_or(1);
  const std::optional<StepWeights> unet = weights(2, "unet");
  lora.text_weight = text.first();
  lora.unet_weight = unet.value_or(text);
  if (unet && !text.is_constant()) lora.ignored.emplace_back("te after its first step");
  if (tag.positional.size() > 3) lora.ignored.emplace_back("dyn");
  for (const auto& [key, value] : tag.named) {
    if (key != "te" && key != "unet") lora.ignored.push_back(key);
  }
  return lora;
}

}  // namespace fourstep
