#include "workbench/detect_report.h"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "report/table.h"

namespace fourstep {
namespace {

using Json = nlohmann::ordered_json;

/// "unet mid_block", "unet up_blocks.1", "text_encoder": what people weigh separately.
std::string block_of(const ParameterId& id) {
  const std::string component = to_string(id.component);
  if (id.component != Component::kUnet) return component;
  const size_t first = id.name.find('.');
  const std::string block = id.name.substr(0, first);
  const bool is_numbered = block == "down_blocks" || block == "up_blocks";
  return component + " " + (is_numbered ? id.name.substr(0, id.name.find('.', first + 1)) : block);
}

std::map<std::string, std::vector<ModuleStrength>> by_block(const Detection& detection) {
  std::map<std::string, std::vector<ModuleStrength>> blocks;
  for (const ModuleStrength& module : detection.modules)
    blocks[block_of(module.id)].push_back(module);
  return blocks;
}

std::string sentence_of(const Detection& detection) {
  const StrengthEstimate& estimate = detection.estimate;
  switch (detection.verdict) {
    case Verdict::kNone:
      return "this LoRA is not in the checkpoint; taking it out would damage the model";
    case Verdict::kPartial:
      return fmt::format(
          "partly in it: {:+.2f} makes it whole (model topup --to 1), {:+.2f} takes it out (model "
          "unbake)",
          1 - estimate.strength, -estimate.strength);
    case Verdict::kFull:
      return "in it at full strength: do not add it again; model unbake takes it out";
    case Verdict::kMore:
      return fmt::format(
          "in it beyond full strength: {:+.2f} brings it back to 1 (model topup --to 1)",
          1 - estimate.strength);
    case Verdict::kNegative:
      return fmt::format(
          "taken out beyond nothing: {:+.2f} brings it back to 0 (model topup --to 0)",
          -estimate.strength);
    case Verdict::kOther:
      return "this LoRA is not in it, but another low-rank change of comparable size is";
    default:
      return "cannot tell: the error bar is too wide; give --base or a --fingerprint of its real "
             "base";
  }
}

std::string percent(double share) { return fmt::format("{:.1f}%", 100 * share); }

Json json_of(const StrengthEstimate& estimate) {
  Json json{{"strength", estimate.strength},
            {"error", nullptr},
            {"scatter", estimate.scatter},
            {"modules", estimate.num_modules}};
  if (std::isfinite(estimate.error)) json["error"] = estimate.error;
  return json;
}

}  // namespace

std::string strength_text(const StrengthEstimate& estimate) {
  if (!std::isfinite(estimate.error))
    return fmt::format("{:.2f} (no error bar)", estimate.strength);
  constexpr double kFine = 0.01;
  const int digits = estimate.error < kFine ? 4 : 3;
  return fmt::format("{:.{}f} +- {:.{}f}", estimate.strength, digits, estimate.error, digits);
}

std::string text_of(const Detection& detection) {
  std::string text =
      fmt::format("{}: strength {} ({} modules, against {})\n{}\n", to_string(detection.verdict),
                  strength_text(detection.estimate), detection.estimate.num_modules,
                  detection.reference, sentence_of(detection));
  if (detection.rounding > 0.0005) {
    text += fmt::format("+- {:.3f} of it because rounding may have swallowed small changes\n",
                        detection.rounding);
  }
  if (detection.other_change) {
    text += fmt::format("beside it the checkpoint changed these weights by {:.2f}% of their norm\n",
                        100 * *detection.other_change);
  }
  for (size_t i = 1; i < detection.candidates.size(); ++i) {
    const Candidate& other = detection.candidates[i];
    text += fmt::format("fits worse: \"{}\" (scatter {:.4f} against {:.4f})\n", other.name,
                        other.estimate.scatter, detection.candidates.front().estimate.scatter);
  }
  Table table{{{"block"}, {"modules", Align::kRight}, {"strength", Align::kRight}}, {}};
  for (const auto& [block, modules] : by_block(detection)) {
    table.rows.push_back({block, std::to_string(modules.size()), strength_text(pooled(modules))});
  }
  return text + text_from_table(table);
}

Json json_of(const Detection& detection) {
  Json json{{"verdict", to_string(detection.verdict)}, {"reference", detection.reference}};
  json.update(json_of(detection.estimate));
  json["rounding"] = detection.rounding;
  json["advice"] = sentence_of(detection);
  if (detection.other_change) json["other_change"] = *detection.other_change;
  json["candidates"] = Json::array();
  for (const Candidate& candidate : detection.candidates) {
    Json entry = json_of(candidate.estimate);
    entry["base"] = candidate.name;
    json["candidates"].push_back(std::move(entry));
  }
  for (const auto& [block, modules] : by_block(detection)) {
    json["blocks"][block] = json_of(pooled(modules));
  }
  for (const ModuleStrength& module : detection.modules) {
    json["module_strengths"][module_key(module.id)] = module.strength;
  }
  return json;
}

std::string text_of(const Finding& finding) {
  const std::string line =
      fmt::format("{} {}\n", finding.is_problem ? "!!" : "ok", finding.sentence);
  return finding.remedy.empty() ? line : line + fmt::format("   -> {}\n", finding.remedy);
}

std::string text_of(const Examination& examination) {
  std::string text;
  for (const Finding& finding : examination.findings) text += text_of(finding);
  if (examination.losses.empty()) return text;
  Table table{{{"merged into"},
               {"strength that arrives", Align::kRight},
               {"error of the change", Align::kRight},
               {"weights that do not move", Align::kRight}},
              {}};
  for (const auto& [storage, loss] : examination.losses) {
    table.rows.push_back(
        {to_string(storage), percent(loss.arrived), percent(loss.error), percent(loss.unchanged)});
  }
  return text + text_from_table(table);
}

Json json_of(const Finding& finding) {
  return {{"code", finding.code},
          {"is_problem", finding.is_problem},
          {"sentence", finding.sentence},
          {"remedy", finding.remedy}};
}

Json json_of(const Examination& examination) {
  Json json{{"findings", Json::array()}, {"relative_change", examination.relative_change}};
  for (const Finding& finding : examination.findings) json["findings"].push_back(json_of(finding));
  for (const auto& [storage, loss] : examination.losses) {
    json["merged_into"][to_string(storage)] = {
        {"arrived", loss.arrived}, {"error", loss.error}, {"unchanged", loss.unchanged}};
  }
  return json;
}

}  // namespace fourstep
