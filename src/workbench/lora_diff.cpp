#include "workbench/lora_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/text_encoding.h"
#include "lora/fuse.h"
#include "lora/relative_change.h"
#include "report/table.h"
#include "workbench/base_model.h"
#include "workbench/lora_algebra.h"
#include "workbench/lora_blocks.h"
#include "workbench/storage.h"

namespace fourstep {
namespace {

using Json = nlohmann::ordered_json;

/// Relative difference that needs no explanation: rounding of the sums in double.
constexpr double kRounding = 1e-9;

void add(Comparison& sum, const Comparison& part) {
  sum.num_common += part.num_common;
  sum.num_only_a += part.num_only_a;
  sum.num_only_b += part.num_only_b;
  sum.a += part.a;
  sum.b += part.b;
  sum.ab += part.ab;
  sum.distance += part.distance;
  sum.worst_angle = std::max(sum.worst_angle, part.worst_angle);
}

/// Throws Error when one of the modules adds what only the model's weights tell; equal ones need no
/// weights.
void check_comparable(const LoraModule* a, const LoraModule* b, const ParameterId& id) {
  for (const LoraModule* module : {a, b}) {
    if (!module || !is_relative(*module)) continue;
    throw Error(
        "lora diff: {}: what a module of {} adds depends on the model's weights; only equal ones "
        "can "
        "be compared; merge both into a checkpoint instead",
        text_of(id), kind_of(*module));
  }
}

Comparison compare_common(const LoraModule& a, const LoraModule& b, const ParameterId& id) {
  Comparison c;
  c.num_common = 1;
  const bool is_equal = is_relative(a) && compare_content(a, b) == 0;
  if (is_equal) return c;
  check_comparable(&a, &b, id);
  c.a = norm_squared(a);
  c.b = norm_squared(b);
  c.ab = inner(a, b);
  c.distance = distance_squared(a, b);
  // From the distance at the best scale, because 1 - cosine^2 loses half of the digits.
  if (c.a > 0 && c.b > 0) c.worst_angle = distance_squared(b, a, c.scale()) / c.b;
  if ((c.a > 0) != (c.b > 0)) c.worst_angle = 1;
  return c;
}

Comparison compare_single(const LoraModule* a, const LoraModule* b, const ParameterId& id) {
  check_comparable(a, b, id);
  Comparison c;
  c.num_only_a = a ? 1 : 0;
  c.num_only_b = b ? 1 : 0;
  c.a = a ? norm_squared(*a) : 0;
  c.b = b ? norm_squared(*b) : 0;
  c.distance = c.a + c.b;
  if (c.distance > 0) c.worst_angle = 1;
  return c;
}

/// The type with the fewest digits among the tensors of the modules.
torch::ScalarType coarsest_type(const std::map<ParameterId, LoraModule>& modules) {
  torch::ScalarType coarsest = torch::kDouble;
  for (const auto& [id, module] : modules) {
    for (const Tensor& tensor : tensors_of(module)) {
      if (tensor.defined() && spacing_of(tensor.scalar_type()) > spacing_of(coarsest))
        coarsest = tensor.scalar_type();
    }
  }
  return coarsest;
}

LoraRelation relation_of(const LoraDiff& diff) {
  const Comparison& total = diff.total;
  if (total.num_common == 0) return LoraRelation::kDisjoint;
  if (total.relative() <= kRounding) return LoraRelation::kIdentical;
  if (total.relative() <= diff.tolerance) return LoraRelation::kSamePrecisions;
  const double scaled = std::max(0.0, 1 - total.cosine() * total.cosine());
  const double bound = diff.tolerance * diff.tolerance;
  if (scaled <= bound) return LoraRelation::kScaled;
  if (total.worst_angle <= bound) return LoraRelation::kReweighted;
  if (total.relative() <= spacing_of(torch::kHalf)) return LoraRelation::kSameThroughHalf;
  return std::abs(total.cosine()) >= 0.5 ? LoraRelation::kRelated : LoraRelation::kDifferent;
}

std::string numbers_text(const Comparison& c) {
  return fmt::format("relative difference {:.3g}, cosine {:.6f}", c.relative(), c.cosine());
}

Json comparison_json(const Comparison& c) {
  return {{"common", c.num_common},   {"only_a", c.num_only_a},
          {"only_b", c.num_only_b},   {"norm_a", std::sqrt(c.a)},
          {"norm_b", std::sqrt(c.b)}, {"relative_difference", c.relative()},
          {"cosine", c.cosine()},     {"scale", c.scale()}};
}

const char* relation_name(LoraRelation relation) {
  constexpr const char* kNames[] = {"identical",        "same, two precisions",
                                    "scaled",           "reweighted",
                                    "same through F16", "related",
                                    "different",        "disjoint"};
  return kNames[static_cast<int>(relation)];
}

std::vector<std::string> row(const std::string& name, const Comparison& c) {
  return {name,
          std::to_string(c.num_common),
          fmt::format("{}/{}", c.num_only_a, c.num_only_b),
          fmt::format("{:.5g}", std::sqrt(c.a)),
          fmt::format("{:.5g}", std::sqrt(c.b)),
          fmt::format("{:.3g}", c.relative()),
          fmt::format("{:.6f}", c.cosine()),
          fmt::format("{:.4g}", c.scale())};
}

}  // namespace

double Comparison::relative() const {
  const double largest = std::max(a, b);
  return largest > 0 ? std::sqrt(distance / largest) : 0;
}

double Comparison::cosine() const {
  return a > 0 && b > 0 ? std::clamp(ab / std::sqrt(a * b), -1.0, 1.0) : 0;
}

double Comparison::scale() const { return a > 0 ? ab / a : 0; }

LoraDiff diff_loras(const FittedLora& a, const FittedLora& b) {
  const std::map<ParameterId, LoraModule> of_a = a.modules(), of_b = b.modules();
  std::map<std::string, Comparison, BlockOrder> blocks;
  for (const auto& [id, module] : of_a) {
    const auto other = of_b.find(id);
    add(blocks[shown_block(id, a.layout)], other == of_b.end()
                                               ? compare_single(&module, nullptr, id)
                                               : compare_common(module, other->second, id));
  }
  for (const auto& [id, module] : of_b) {
    if (of_a.count(id) == 0)
      add(blocks[shown_block(id, b.layout)], compare_single(nullptr, &module, id));
  }
  LoraDiff diff;
  diff.path_a = a.file.path;
  diff.path_b = b.file.path;
  for (const auto& [name, comparison] : blocks) {
    add(diff.total, comparison);
    diff.blocks.emplace_back(name, comparison);
  }
  const torch::ScalarType type_a = coarsest_type(of_a), type_b = coarsest_type(of_b);
  diff.dtype_a = dtype_name(type_a);
  diff.dtype_b = dtype_name(type_b);
  // Both factors of both files are rounded; each to half a unit of at most eps.
  diff.tolerance = std::max(spacing_of(type_a), spacing_of(type_b));
  diff.relation = relation_of(diff);
  return diff;
}

std::string verdict(const LoraDiff& diff) {
  const Comparison& total = diff.total;
  const std::string numbers = numbers_text(total);
  switch (diff.relation) {
    case LoraRelation::kIdentical:
      return "identical: both add the same to every weight";
    case LoraRelation::kSamePrecisions:
      return diff.dtype_a == diff.dtype_b
                 ? fmt::format("the same LoRA up to the rounding of {}: {}", diff.dtype_a, numbers)
                 : fmt::format("the same LoRA in two precisions ({} and {}): {}", diff.dtype_a,
                               diff.dtype_b, numbers);
    case LoraRelation::kScaled:
      return fmt::format("the same training at another scale: B is {:.5g} times A ({})",
                         total.scale(), numbers);
    case LoraRelation::kReweighted:
      return fmt::format(
          "the same training with other weights per module: each is a multiple of its counterpart "
          "({})",
          numbers);
    case LoraRelation::kSameThroughHalf:
      return fmt::format(
          "the same LoRA up to the rounding of F16, as when part of one was F16 before it was {}: "
          "{}",
          diff.dtype_b, numbers);
    case LoraRelation::kRelated:
      return fmt::format("different, but related: {}", numbers);
    case LoraRelation::kDisjoint:
      return "different: they change no weight in common";
    default:
      return fmt::format("different: {}", numbers);
  }
}

std::string diff_text(const LoraDiff& diff) {
  Table table{{{"block"},
               {"common", Align::kRight},
               {"only A/B", Align::kRight},
               {"norm A", Align::kRight},
               {"norm B", Align::kRight},
               {"difference", Align::kRight},
               {"cosine", Align::kRight},
               {"B/A", Align::kRight}},
              {}};
  for (const auto& [name, comparison] : diff.blocks) table.rows.push_back(row(name, comparison));
  table.rows.push_back(row("all", diff.total));
  return fmt::format("A  {}\nB  {}\n{}\n\n{}", printable(diff.path_a.string(), 400),
                     printable(diff.path_b.string(), 400), verdict(diff), text_from_table(table));
}

std::string diff_json(const LoraDiff& diff) {
  Json blocks = Json::array();
  for (const auto& [name, comparison] : diff.blocks) {
    Json block = {{"block", name}};
    block.update(comparison_json(comparison));
    blocks.push_back(std::move(block));
  }
  const Json json = {{"a", diff.path_a.string()},
                     {"b", diff.path_b.string()},
                     {"relation", relation_name(diff.relation)},
                     {"verdict", verdict(diff)},
                     {"dtype_a", diff.dtype_a},
                     {"dtype_b", diff.dtype_b},
                     {"total", comparison_json(diff.total)},
                     {"blocks", blocks}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace fourstep
