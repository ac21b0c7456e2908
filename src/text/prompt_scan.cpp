#include "text/prompt_scan.h"

#include <fmt/format.h>
#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/fields.h"
#include "base/text_tools.h"
#include "text/unicode.h"

namespace fourstep {

namespace {

constexpr size_t kLongestCodePoint = 4;  // bytes of UTF-8

bool is_word_character(char32_t c) {
  const CharClass kind = char_class(c);
  return c == U'_' || kind == CharClass::kLetter || kind == CharClass::kNumber;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

bool ends_in_word_character(std::string_view text) {
  if (text.empty()) return false;
  size_t begin = text.size() - 1;
  while (begin > 0 && text.size() - begin < kLongestCodePoint && is_continuation(text[begin])) {
    --begin;
  }
  return is_word_character(decode_utf8(text.substr(begin)).back());
}

bool begins_with_word_character(std::string_view text) {
  return !text.empty() && is_word_character(decode_utf8(text.substr(0, kLongestCodePoint)).front());
}

}  // namespace

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool is_whole_word(std::string_view text, size_t begin, size_t end) {
  return !ends_in_word_character(text.substr(0, begin)) &&
         !begins_with_word_character(text.substr(end));
}

std::string_view without_blanks_behind(std::string_view text) {
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return without_blanks_behind(text);
}

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

namespace {

WeightedText part_of(std::string_view text) {
  text = without_blanks_behind(text);
  const size_t end_of_text = text.find_last_not_of("0123456789.");
  if (end_of_text == std::string_view::npos) return {std::string(text), 1};
  const bool has_sign = text[end_of_text] == '+' || text[end_of_text] == '-';
  const std::string_view number = text.substr(end_of_text + (has_sign ? 0 : 1));
  const std::string_view before =
      without_blanks_behind(text.substr(0, text.size() - number.size()));
  const auto weight = before.ends_with(':') ? finite_number(number) : std::nullopt;
  if (!weight) return {std::string(text), 1};
  return {std::string(without_blanks_behind(before.substr(0, before.size() - 1))), *weight};
}

}  // namespace

std::vector<WeightedText> parse_composition(std::string_view prompt) {
  constexpr std::string_view kAnd = "AND";
  std::vector<WeightedText> parts;
  size_t begin = 0;
  for (size_t found = prompt.find(kAnd); found != std::string_view::npos;
       found = prompt.find(kAnd, found + kAnd.size())) {
    if (!is_whole_word(prompt, found, found + kAnd.size())) continue;
    parts.push_back(part_of(prompt.substr(begin, found - begin)));
    begin = found + kAnd.size();
  }
  parts.push_back(part_of(prompt.substr(begin)));
  return parts;
}

namespace {

/// From a "#" on, up to and with the line end.
size_t comment_length(std::string_view text) {
  return std::min(text.find('\n'), text.size() - 1) + 1;
}

std::string without_comment_lines(std::string_view prompt) {
  std::string text;
  for (size_t i = 0; i < prompt.size();) {
    const size_t sign = i + (prompt[i] == '\n' ? 1 : 0);
    const bool is_line = (i == 0 || sign > i) && prompt.substr(sign).starts_with('#');
    if (is_line) {
      text += '\n';
      i = sign + comment_length(prompt.substr(sign));
    } else {
      text += prompt[i++];
    }
  }
  return text;
}

std::string without_hash_comments(std::string_view prompt) {
  const std::string lines = without_comment_lines(prompt);
  const std::string_view rest = lines;
  std::string text;
  for (size_t i = 0; i < rest.size();) {
    if (rest[i] == '#') {
      text += '\n';
      i += comment_length(rest.substr(i));
    } else {
      text += rest[i++];
    }
  }
  return text;
}

/// Where a "//" comment ends: before the next line end of JavaScript.
size_t line_end(std::string_view text, size_t from) {
  size_t end = text.size();
  for (const std::string_view mark : {"\n", "\r", "\u2028", "\u2029"}) {
    end = std::min(end, text.find(mark, from));
  }
  return end;
}

std::string without_c_comments(std::string_view prompt) {
  std::string text;
  for (size_t i = 0; i < prompt.size();) {
    const std::string_view rest = prompt.substr(i);
    const size_t closing =
        rest.starts_with("/*") ? prompt.find("*/", i + 2) : std::string_view::npos;
    if (closing != std::string_view::npos) {
      i = closing + 2;
    } else if (rest.starts_with("//")) {
      i = line_end(prompt, i);
    } else {
      text += prompt[i++];
    }
  }
  return text;
}

}  // namespace

std::string without_comments(std::string_view prompt, Dialect dialect) {
  switch (dialect) {
    case Dialect::kA1111:
      return without_hash_comments(prompt);
    case Dialect::kComfy:
      return without_c_comments(prompt);
    case Dialect::kFourstep:
    case Dialect::kDiffusers:
      break;
  }
  return std::string(prompt);
}

std::optional<WeightSlip> find_weight_slip(std::string_view prompt) {
  for (size_t close = prompt.find(')'); close != std::string_view::npos;
       close = prompt.find(')', close + 1)) {
    const size_t start = prompt.substr(0, close).find_last_of(":()[]");
    if (start == std::string_view::npos || prompt[start] != ':') continue;
    const std::string hint = number_hint(trimmed(prompt.substr(start + 1, close - start - 1)));
    if (!hint.empty()) {
      return WeightSlip{std::string(prompt.substr(start, close - start + 1)), hint};
    }
  }
  return std::nullopt;
}

}  // namespace fourstep
