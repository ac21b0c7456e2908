#include "inspect/encoded_texts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text_tools.h"
#include "pipeline/prompt_plan.h"

namespace fourstep {

namespace {

/// What one stage reads.
std::vector<EncodedTextUse> texts_of_stage(const ResolvedRequest& request,
                                           const StageTexts& stage) {
  std::vector<EncodedTextUse> uses;
  for (const WeightedText& part : stage.parts) {
    uses.push_back({.role = "prompt", .text = part.text, .calls = "", .weight = part.weight});
  }
  const bool is_zeros = stage.negative.empty() && request.prompt.zero_empty_negative;
  uses.push_back({.role = "negative prompt",
                  .text = stage.negative,
                  .calls = "",
                  .is_used = uses_negative(request, stage),
                  .is_zeros = is_zeros});
  if (has_nag(request.guidance)) {
    uses.push_back({.role = "NAG prompt", .text = nag_text(request, stage), .calls = ""});
  }
  if (is_method_on(request.guidance, "perp_neg")) {
    uses.push_back({.role = "empty prompt", .text = "", .calls = ""});
  }
  return uses;
}

bool is_same_text(const EncodedTextUse& a, const EncodedTextUse& b) {
  return a.role == b.role && a.text == b.text && a.weight == b.weight;
}

bool has_text(const std::vector<EncodedTextUse>& uses, const EncodedTextUse& wanted) {
  return std::any_of(uses.begin(), uses.end(),
                     [&](const EncodedTextUse& use) { return is_same_text(use, wanted); });
}

/// "0-2, 4": the calls of the stages that are marked; empty when all are.
std::string calls_of(const std::vector<StageSpan>& spans, const std::vector<bool>& is_marked) {
  if (std::find(is_marked.begin(), is_marked.end(), false) == is_marked.end()) return "";
  std::vector<std::pair<int64_t, int64_t>> ranges;
  int64_t first = 0;
  for (const StageSpan& span : spans) {
    const bool continues = !ranges.empty() && ranges.back().second == first - 1;
    if (is_marked[span.stage]) {
      if (!continues) ranges.emplace_back(first, 0);
      ranges.back().second = span.last_call;
    }
    first = span.last_call + 1;
  }
  std::vector<std::string> calls;
  for (const auto& [from, to] : ranges) {
    calls.push_back(from == to ? std::to_string(from) : fmt::format("{}-{}", from, to));
  }
  return join_first(calls);
}

}  // namespace

std::vector<EncodedTextUse> encoded_texts(const ResolvedRequest& request) {
  const TextPlan plan = plan_texts(request);
  std::vector<std::vector<EncodedTextUse>> stages;
  for (const StageTexts& stage : plan.stages) {
    stages.push_back(texts_of_stage(request, stage));
  }
  std::vector<EncodedTextUse> all;
  for (const auto& stage : stages) {
    for (const EncodedTextUse& use : stage) {
      if (has_text(all, use)) continue;
      std::vector<bool> is_marked;
      for (const auto& other : stages) is_marked.push_back(has_text(other, use));
      all.push_back(use);
      all.back().calls = calls_of(plan.spans, is_marked);
    }
  }
  return all;
}

std::string note_of(const EncodedTextUse& use) {
  std::vector<std::string> notes;
  if (!use.is_used) notes.emplace_back("not used at CFG scale 1");
  if (use.is_used && use.is_zeros) notes.emplace_back("zeros, not encoded");
  if (!use.calls.empty()) notes.push_back("calls " + use.calls);
  if (use.weight != 1) notes.push_back(fmt::format("weight {}", use.weight));
  return fmt::format("{}", fmt::join(notes, "; "));
}

nlohmann::ordered_json json_from(const EncodedTextUse& use) {
  return {{"part", use.role},     {"text", use.text},    {"calls", use.calls},
          {"weight", use.weight}, {"used", use.is_used}, {"zeros", use.is_zeros}};
}

}  // namespace fourstep
