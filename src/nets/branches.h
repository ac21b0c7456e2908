#pragma once
// The places inside a network where low-rank branches are worn, and gradient checkpointing that remembers what was
// worn.

#include <optional>

#include "layers/layers.h"
#include "layers/recompute.h"

namespace fourstep {

/// A layer that can wear a branch.
struct BranchPlace {
  Tensor weight;                 ///< of the layer
  const LowRankBranch** branch;  ///< its pointer
};

/// Nothing for layers of other kinds.
std::optional<BranchPlace> branch_place_of(nn::Module& layer);

/// What the layers inside `module` wear now; each call puts it on again until its result goes. Module and branches
/// must live until then.
RecomputeScope worn_branches(nn::Module& module);

/// module->forward(x, condition) by recompute(): the second run wears what the first one did, whatever the layers
/// wear by then. The branches must live until the backward pass.
template <typename Holder>
Tensor recompute_module(Holder module, const Tensor& x, const Tensor& condition) {
  const auto block = [module](const std::vector<Tensor>& inputs) mutable {
    return module->forward(inputs[0], inputs[1]);
  };
  return recompute(block, {x, condition}, worn_branches(*module));
}

}  // namespace fourstep
