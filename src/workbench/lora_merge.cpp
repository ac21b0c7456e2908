#include "workbench/lora_merge.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "lora/fuse.h"
#include "lora/relative_change.h"
#include "workbench/lora_algebra.h"

namespace fourstep {
namespace {

using Terms = std::vector<WeightedModule>;

const Shape& shape_in(const LoraLayout& layout, const ParameterId& id) {
  return layout.shapes.at(id.component).at(id.name);
}

/// `module` times `weight`, its factors untouched.
LoraModule scaled(LoraModule module, double weight) {
  const bool is_whole = std::holds_alternative<Replacement>(module.weight);
  if (weight == 1 || is_whole) return module;  // a whole weight counts in full at any weight
  if (auto* ia3 = std::get_if<IA3>(&module.weight)) {
    ia3->weight = aligned(ia3->weight).to(torch::kFloat) * weight;
    return module;
  }
  if (auto* full = std::get_if<FullDiff>(&module.weight)) {
    full->diff = aligned(full->diff).to(torch::kFloat) * weight;
    return module;
  }
  const double factor = factor_of(module) * weight;
  const int64_t rank = rank_of(module);
  module.scale.reset();
  module.alpha.reset();
  if (rank > 0) {
    module.alpha = factor * static_cast<double>(rank);
  } else {  // a whole LoKr ignores alpha: its first factor takes the weight
    auto& lokr = std::get<LoKr>(module.weight);
    lokr.w1 = aligned(lokr.w1).to(torch::kFloat) * weight;
  }
  return module;
}

bool is_plain(const LoraModule& module) {
  const auto* low = std::get_if<LowRank>(&module.weight);
  return low && !low->mid.defined();
}

/// In fp32 with the dimensions that the weight's own shape asks for.
Tensor shaped(const Tensor& factor, const Shape& shape) {
  return aligned(factor).to(torch::kFloat).reshape(shape);
}

/// All terms stacked. The largest factor becomes alpha's, so that its `up` keeps its bits.
LoraModule stacked(const Terms& terms, const Shape& shape) {
  const auto factor = [](const WeightedModule& term) {
    return term.weight * factor_of(term.module);
  };
  const auto largest = std::max_element(
      terms.begin(), terms.end(),
      [&](const auto& a, const auto& b) { return std::abs(factor(a)) < std::abs(factor(b)); });
  const double common = factor(*largest);
  std::vector<Tensor> ups, downs;
  int64_t rank = 0;
  for (const WeightedModule& term : terms) {
    const auto& low = std::get<LowRank>(term.module.weight);
    const int64_t r = low.down.size(0);
    Shape up_shape(shape.size(), 1), down_shape = shape;
    up_shape[0] = shape[0], up_shape[1] = r, down_shape[0] = r;
    const double ratio = common == 0 ? 0 : factor(term) / common;
    const Tensor up = shaped(low.up, up_shape);
    ups.push_back(ratio == 1 ? up : (up.to(torch::kDouble) * ratio).to(torch::kFloat));
    downs.push_back(shaped(low.down, down_shape));
    rank += r;
  }
  LoraModule module{LowRank{torch::cat(downs, 0), torch::cat(ups, 1), {}}, {}, {}, {}};
  module.alpha = common * static_cast<double>(rank);
  return module;
}

/// The sum of the terms as a matrix, in double.
Tensor dense_sum(const Terms& terms) {
  Tensor sum;
  for (const WeightedModule& term : terms) {
    const Tensor part = dense_delta(term.module) * term.weight;
    sum = sum.defined() ? sum + part : part;
  }
  return sum;
}

LoraModule exact_sum(const Terms& terms, const Shape& shape) {
  if (terms.size() == 1) return scaled(terms[0].module, terms[0].weight);
  const auto is_stackable = [](const WeightedModule& term) { return is_plain(term.module); };
  if (std::all_of(terms.begin(), terms.end(), is_stackable)) return stacked(terms, shape);
  return {FullDiff{dense_sum(terms).to(torch::kFloat).reshape(shape)}, {}, {}, {}};
}

Decomposition decompose_sum(const Terms& terms) {
  Factors factors;
  for (const WeightedModule& term : terms) {
    const auto part = factors_of(term.module, term.weight);
    if (!part) {
      const Tensor sum = dense_sum(terms);
      return decompose(LoraModule{FullDiff{sum}, {}, {}, {}});
    }
    const bool is_first = !factors.up.defined();
    factors.up = is_first ? part->up : torch::cat({factors.up, part->up}, 1);
    factors.down = is_first ? part->down : torch::cat({factors.down, part->down}, 0);
  }
  return decompose(factors);
}

/// The rank of a plain module that no rule could lower.
bool keeps_rank(const Terms& terms, int64_t rank) {
  return terms.size() == 1 && is_plain(terms[0].module) && rank_of(terms[0].module) <= rank;
}

/// Weights have two dimensions or more; norms and biases cannot be factorised.
bool can_factorise(const Terms& terms, const Shape& shape) {
  return shape.size() > 1 && std::none_of(terms.begin(), terms.end(), [](const auto& term) {
           return depends_on_weight(term.module);
         });
}

/// Whether a weight can go into the module's own tensors.
bool can_be_weighted(const LoraModule& module) {
  return !module.dora_scale.defined() && !std::holds_alternative<OFT>(module.weight);
}

void check_terms(const Terms& terms, const ParameterId& id) {
  const auto found = std::find_if(terms.begin(), terms.end(), [](const WeightedModule& term) {
    return depends_on_weight(term.module);
  });
  if (found == terms.end()) return;
  const bool is_alone = terms.size() == 1;
  if (is_alone && (found->weight == 1 || can_be_weighted(found->module))) return;
  const bool is_dora = found->module.dora_scale.defined();
  throw Error(
      "lora merge: {}: {} is no sum of differences, so it {}; merge it into a checkpoint "
      "instead",
      text_of(id), is_dora ? "DoRA" : kind_of(found->module),
      is_alone ? "cannot be weighted" : "cannot be joined with others");
}

/// Adds the sum of `terms` to the result, at the rank that `choice` picks if there is one.
void add_sum(const ParameterId& id, const Terms& terms, const Shape& shape,
             const std::optional<RankChoice>& choice, MergeResult& result) {
  if (!choice || !can_factorise(terms, shape)) {
    result.modules[id] = exact_sum(terms, shape);
    if (!is_relative(result.modules[id])) result.total_squared += norm_squared(result.modules[id]);
    return;
  }
  const Decomposition parts = decompose_sum(terms);
  const int64_t rank = choose_rank(parts.s, *choice);
  result.total_squared += parts.s.square().sum().item<double>();
  if (keeps_rank(terms, rank)) {
    result.modules[id] = scaled(terms[0].module, terms[0].weight);
    return;
  }
  const double lost = discarded_norm(parts.s, rank);
  result.lost_squared += lost * lost;
  result.modules[id] = module_from(parts, rank, shape, torch::kFloat);
}

}  // namespace

double MergeResult::relative_error() const {
  return total_squared > 0 ? std::sqrt(lost_squared / total_squared) : 0;
}

MergeResult merge_loras(const std::vector<MergePart>& parts, const LoraLayout& layout,
                        const std::optional<RankChoice>& rank, const Events& events) {
  if (rank) check(*rank);
  std::map<ParameterId, Terms> terms;
  for (const MergePart& part : parts) {
    for (const auto& [id, module] : part.modules) {
      const double weight =
          weight_of(part.blocks, id, layout) *
          (id.component == Component::kUnet ? part.unet_weight : part.text_weight);
      if (!std::isfinite(weight))
        throw InvalidRequest("lora merge: weight {} is not a finite number", weight);
      if (weight != 0) terms[id].push_back({module, weight});
    }
  }
  MergeResult result;
  for (const MergePart& part : parts) add_embeddings(result.embeddings, part.embeddings, part.name);
  if (terms.empty()) throw InvalidRequest("lora merge: all weights are 0: nothing is left");
  int64_t done = 0;
  for (const auto& [id, sum] : terms) {
    check_terms(sum, id);
    add_sum(id, sum, shape_in(layout, id), rank, result);
    events.report({Stage::kFuse, ++done, static_cast<int64_t>(terms.size())});
  }
  return result;
}

}  // namespace fourstep
