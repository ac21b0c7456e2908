#include "workbench/rebalance.h"

#include <cmath>

#include "base/error.h"
#include "lora/fuse.h"
#include "lora/relative_change.h"
#include "workbench/base_model.h"

namespace fourstep {
namespace {

namespace fs = std::filesystem;

void check_sense(const fs::path& checkpoint, const Detection& found, double weight) {
  const StrengthEstimate& estimate = found.estimate;
  const std::string measured =
      fmt::format("\"{}\": strength {:.3f} +- {:.3f} ({})", checkpoint.string(), estimate.strength,
                  estimate.error, to_string(found.verdict));
  if (found.verdict == Verdict::kUnclear) {
    throw InvalidRequest(
        "{} is too uncertain to act on; give --base or a --fingerprint of its real base, or "
        "--force",
        measured);
  }
  constexpr double kNothing = 0.005;
  if (std::abs(weight) < kNothing) {
    throw InvalidRequest("{}: nothing to do; --force writes a copy", measured);
  }
  const bool is_absent = found.verdict == Verdict::kNone || found.verdict == Verdict::kOther;
  if (is_absent && weight < 0) {
    throw InvalidRequest(
        "{}: this LoRA is not in it, and taking it out would damage the model; --force does it all "
        "the same",
        measured);
  }
}

/// A change that depends on the weight it was made to cannot be added to, or taken from, another
/// weight.
void check_sums(const fs::path& checkpoint, const DetectSettings& settings) {
  const Checkpoint model = open_base_model(checkpoint).checkpoint;
  const LoraMatch match = open_matched_lora(settings.lora, model, settings.is_partial_allowed);
  for (const MatchedModule& m : match.matched) {
    if (!depends_on_weight(m.module)) continue;
    throw InvalidRequest(
        "\"{}\": {} is {}, whose change of a weight is no difference that could be taken out of a "
        "merged one or topped up; start from the base model instead",
        settings.lora.string(), m.name, m.module.dora_scale.defined() ? "DoRA" : kind_of(m.module));
  }
}

}  // namespace

Rebalance rebalance(const fs::path& checkpoint, const RebalanceSettings& settings,
                    const fs::path& output, const Events& events) {
  check_sums(checkpoint, settings.detect);
  Rebalance result;
  result.before = detect(checkpoint, settings.detect, events);
  result.weight = settings.target - result.before.estimate.strength;
  if (!settings.is_forced) check_sense(checkpoint, result.before, result.weight);
  MergeSettings merge = settings.merge;
  merge.loras = {{settings.detect.lora, result.weight, result.weight}};
  merge.is_partial_allowed = settings.detect.is_partial_allowed;
  result.merge = merge_into_file(checkpoint, merge, output, events);
  result.after = detect(output, settings.detect, events);
  return result;
}

}  // namespace fourstep
