#pragma once
// Gradient checkpointing: a block keeps what goes into it instead of all that it computes on the
// way, and computes that again when its gradients are wanted. Memory for one more forward pass.
// Source: Chen et al. 2016 (1604.06174), section 4.

#include <functional>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

/// A function of tensors alone: no random numbers, and nothing that changes until the backward
/// pass; what else it needs it holds by value. At least one input.
using Block = std::function<Tensor(const std::vector<Tensor>& inputs)>;

/// block(inputs). With gradients off that is all; else what autograd keeps of the run is thrown
/// away, and the block runs again in the backward pass, under the same autocast. Gradients flow to
/// the inputs, and to whatever leaves the block uses: those are added to their grad() directly, so
/// torch::autograd::grad() for them does not work, backward() does. The output requires a gradient
/// even where nothing in the block does.
Tensor recompute(const Block& block, const std::vector<Tensor>& inputs);

}  // namespace fourstep
