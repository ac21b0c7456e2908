#include "layers/recompute.h"

#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

namespace fourstep {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Torch's autocast as it was when the block first ran: by the time of the backward pass it is off.
struct Autocast {
  explicit Autocast(torch::DeviceType device)
      : device(device),
        is_on(at::autocast::is_autocast_enabled(device)),
        dtype(at::autocast::get_autocast_dtype(device)) {}

  void set() const {
    at::autocast::set_autocast_enabled(device, is_on);
    at::autocast::set_autocast_dtype(device, dtype);
  }

  torch::DeviceType device;
  bool is_on;
  torch::Dtype dtype;
};

/// Autocast as `then` says, while it lives.
class AutocastScope {
 public:
  explicit AutocastScope(const Autocast& then) : before_(then.device) {
    then.set();
    at::autocast::increment_nesting();
  }
  ~AutocastScope() {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    before_.set();
  }
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  Autocast before_;
};

/// What the backward pass needs, carried by the graph's node.
struct Recipe : torch::CustomClassHolder {
  Recipe(Block block, torch::DeviceType device) : block(std::move(block)), autocast(device) {}
  Block block;
  Autocast autocast;
};

Tensor run_again(const Recipe& recipe, const variable_list& leaves) {
  const AutocastScope autocast(recipe.autocast);
  return recipe.block(leaves);
}

/// Leaves with the values of `inputs`, which want a gradient where those did.
variable_list fresh_leaves(const variable_list& inputs) {
  variable_list leaves;
  for (const Tensor& input : inputs) {
    leaves.push_back(input.detach().set_requires_grad(input.requires_grad()));
  }
  return leaves;
}

struct Recompute : torch::autograd::Function<Recompute> {
  /// anchor: any tensor that requires a gradient: without one among the inputs the node would be
  /// left out of the graph, and leaves inside the block would get nothing.
  static Tensor forward(AutogradContext* context, const Tensor& /*anchor*/,
                        const c10::intrusive_ptr<Recipe>& recipe, at::TensorList inputs) {
    context->saved_data["recipe"] = c10::IValue::make_capsule(recipe);
    context->save_for_backward(inputs.vec());
    // Recording, though the record is dropped at once: without gradients bf16 attention takes
    // another kernel, and the second run would not repeat the first one's numbers.
    const at::AutoGradMode recording(true);
    // A block may end in a view; a node's output must be none, or its version counter would be
    // compared.
    return recipe->block(fresh_leaves(inputs.vec())).detach();
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto capsule = context->saved_data["recipe"].toCapsule();
    const auto* recipe = static_cast<const Recipe*>(capsule.get());
    const variable_list leaves = fresh_leaves(context->get_saved_variables());
    {
      const at::AutoGradMode recording(true);
      const Tensor output = run_again(*recipe, leaves);
      if (output.requires_grad()) torch::autograd::backward({output}, {gradients[0]});
    }
    variable_list result(2);  // anchor and recipe have none
    for (const Tensor& leaf : leaves) result.push_back(leaf.grad());
    return result;
  }
};

}  // namespace

Tensor recompute(const Block& block, const std::vector<Tensor>& inputs) {
  if (!at::GradMode::is_enabled()) return block(inputs);
  const Tensor anchor = at::empty({0}).set_requires_grad(true);
  const auto recipe = c10::make_intrusive<Recipe>(block, inputs.at(0).device().type());
  return Recompute::apply(anchor, recipe, at::TensorList(inputs));
}

}  // namespace fourstep
