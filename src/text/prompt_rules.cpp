#include "text/prompt_rules.h"

#include <algorithm>

#include "base/error.h"
#include "text/emphasis.h"
#include "text/prompt_scan.h"

namespace fourstep {
namespace {

std::vector<WeightedText> parse_emphasis(std::string_view prompt, PromptSyntax syntax) {
  switch (syntax) {
    case PromptSyntax::kA1111:
      return parse_a1111_emphasis(prompt);
    case PromptSyntax::kComfy:
      return parse_comfy_emphasis(prompt);
    case PromptSyntax::kPlain:
      break;
  }
  return {{std::string(prompt), 1}};
}

std::vector<TokenPart> tokenize_part(const PromptTokenizer& tokenizer, const WeightedText& part,
                                     PromptSyntax syntax, const InversionTable* inversions,
                                     size_t encoder) {
  static const InversionTable kNone{};
  const InversionTable& table = inversions ? *inversions : kNone;
  if (syntax == PromptSyntax::kComfy && inversions) {
    return tokenize_with_references(tokenizer, part.text, part.weight, table, encoder);
  }
  return tokenize_with_names(tokenizer, part.text, part.weight,
                             syntax == PromptSyntax::kComfy ? kNone : table, encoder);
}

PromptRules rules_of(Dialect dialect) {
  switch (dialect) {
    case Dialect::kComfy:
      return {PromptSyntax::kComfy, ChunkRule::kWholeParts, EmphasisRule::kComfy};
    case Dialect::kA1111:
      return {PromptSyntax::kA1111, ChunkRule::kCommaBackOff, EmphasisRule::kOriginal,
              Cleaning::kSlowFtfy};
    case Dialect::kDiffusers:
      return {PromptSyntax::kPlain, ChunkRule::kTruncate, EmphasisRule::kIgnore, Cleaning::kNfc,
              /*bang_in_second=*/true};
    case Dialect::kFourstep:
      break;
  }
  return {PromptSyntax::kA1111, ChunkRule::kCommaBackOff, EmphasisRule::kNoNorm};
}

}  // namespace

PromptRules prompt_rules(Dialect dialect, const std::string& emphasis) {
  PromptRules rules = rules_of(dialect);
  if (emphasis == "auto") return rules;
  const std::pair<const char*, EmphasisRule> names[] = {{"original", EmphasisRule::kOriginal},
                                                        {"no_norm", EmphasisRule::kNoNorm},
                                                        {"comfyui", EmphasisRule::kComfy},
                                                        {"ignore", EmphasisRule::kIgnore}};
  for (const auto& [name, rule] : names) {
    if (emphasis != name) continue;
    rules.emphasis = rule;
    return rules;
  }
  throw InvalidRequest("emphasis \"{}\" is none of auto, original, no_norm, comfyui, ignore",
                       emphasis);
}

TokenizerOptions tokenizer_options(const PromptRules& rules, size_t encoder) {
  return {rules.cleaning, rules.bang_in_second && encoder == 1};
}

std::vector<TokenPart> tokenize_prompt(const Tokenizer& tokenizer, std::string_view prompt,
                                       const PromptRules& rules, const InversionTable* inversions,
                                       size_t encoder) {
  const PromptSyntax syntax = rules.syntax;
  const PromptTokenizer with_rules(tokenizer, tokenizer_options(rules, encoder));
  std::vector<TokenPart> parts;
  for (const WeightedText& part : parse_emphasis(prompt, syntax)) {
    if (syntax == PromptSyntax::kA1111 && is_break(part)) {
      parts.push_back({TokenPart::Kind::kBreak, {}});
      continue;
    }
    for (TokenPart& tokens : tokenize_part(with_rules, part, syntax, inversions, encoder)) {
      parts.push_back(std::move(tokens));
    }
  }
  return parts;
}

bool has_weights(std::string_view prompt, PromptSyntax syntax) {
  const auto parts = parse_emphasis(prompt, syntax);
  return std::any_of(parts.begin(), parts.end(), [&](const WeightedText& part) {
    return part.weight != 1 && !(syntax == PromptSyntax::kA1111 && is_break(part));
  });
}

std::string plain_words(std::string_view prompt, PromptSyntax syntax) {
  if (syntax == PromptSyntax::kPlain) return std::string(prompt);
  const bool is_a1111 = syntax == PromptSyntax::kA1111;
  const std::string text = is_a1111 ? parse_network_tags(prompt).text : std::string(prompt);
  const std::vector<WeightedText> whole = {{text, 1}};
  std::string words;
  for (const WeightedText& part : is_a1111 ? parse_composition(text) : whole) {
    for (const WeightedText& piece : parse_emphasis(part.text, syntax)) {
      words += is_a1111 && is_break(piece) ? " " : piece.text;
    }
    words += ' ';
  }
  words.pop_back();
  return words;
}

}  // namespace fourstep
