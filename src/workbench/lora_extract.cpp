#include "workbench/lora_extract.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/memory.h"
#include "io/mapped_file.h"
#include "io/single_file.h"
#include "workbench/lora_algebra.h"

namespace fourstep {
namespace {

Tensor in_fp32(const Tensor& tensor) { return aligned(tensor).to(torch::kFloat); }

/// tuned - base, fp32.
Tensor difference_of(const Tensor& tuned, const Tensor& base) {
  return in_fp32(tuned) - in_fp32(base);
}

bool is_embedding(const std::string& name) {
  return name.find("embedding.") != std::string::npos && name.find("text_model") == 0;
}

/// Linear layers and convolutions; no tables of embeddings, which no LoRA changes.
bool is_target(const std::string& name, const Tensor& weight) {
  return name.ends_with(".weight") && (weight.dim() == 2 || weight.dim() == 4) &&
         !is_embedding(name);
}

bool has_kernel(const Tensor& weight) {
  return weight.dim() == 4 && weight.size(2) * weight.size(3) > 1;
}

class Extractor {
 public:
  Extractor(const Checkpoint& tuned, const Checkpoint& base, const ExtractOptions& options)
      : tuned_(tuned), base_(base), options_(options) {}

  ExtractResult extract(const Events& events) {
    const std::vector<Component> components = shared_components();
    int64_t total = 0, done = 0;
    for (const Component component : components)
      total += static_cast<int64_t>(base_.components.at(component).size());
    for (const Component component : components) {
      const bool is_used = component == Component::kUnet || is_text_changed(component);
      for (const auto& [name, weight] : base_.components.at(component)) {
        if (is_used) add({component, name}, weight);
        events.report({Stage::kFuse, ++done, total});
      }
    }
    if (result_.modules.empty()) {
      throw Error(
          "lora extract: \"{}\" and \"{}\" have the same weights; there is nothing to extract",
          tuned_.path.string(), base_.path.string());
    }
    return std::move(result_);
  }

 private:
  std::vector<Component> shared_components() {
    std::vector<Component> components;
    for (const auto& [component, tensors] : base_.components) {
      if (component == Component::kVae || !tuned_.has(component)) continue;
      check_layout(component);
      components.push_back(component);
      result_.layout.shapes[component] = shapes_of(tensors);
    }
    if (result_.layout.shapes.count(Component::kUnet) == 0)
      throw Error("lora extract: both files need a UNet");
    result_.layout.name = base_.path.filename().string();
    result_.layout.ldm_names = ldm_unet_names(result_.layout.shapes[Component::kUnet]);
    return components;
  }

  void check_layout(Component component) const {
    const NamedTensors& tuned = tuned_.components.at(component);
    for (const auto& [name, weight] : base_.components.at(component)) {
      const auto other = tuned.find(name);
      if (other != tuned.end() && other->second.sizes() == weight.sizes()) continue;
      throw Error(
          "lora extract(\"{}\"): {}.{} is {}, in \"{}\" it has shape {}; both must be of one "
          "family",
          tuned_.path.string(), to_string(component), name,
          other == tuned.end() ? "missing" : to_string(shape_of(other->second)),
          base_.path.string(), to_string(shape_of(weight)));
    }
  }

  const Tensor& tuned(const ParameterId& id) const {
    return tuned_.components.at(id.component).at(id.name);
  }

  bool is_text_changed(Component component) const {
    for (const auto& [name, weight] : base_.components.at(component)) {
      const Tensor& other = tuned({component, name});
      const double largest = difference_of(other, weight).abs().max().item<double>();
      drop_pages(weight);
      drop_pages(other);
      if (largest > options_.min_text_difference) return true;
    }
    return false;
  }

  void add(const ParameterId& id, const Tensor& base) {
    return_freed_memory();  // the heap falls apart with matrices of many sizes
    const Tensor difference = difference_of(tuned(id), base);
    drop_pages(base);
    drop_pages(tuned(id));
    const double squared = difference.to(torch::kDouble).square().sum().item<double>();
    if (!std::isfinite(squared))
      throw Error("lora extract: {} holds NaN or infinity in one of the files", text_of(id));
    if (squared == 0) {
      ++result_.num_unchanged;
    } else if (!is_target(id.name, base)) {
      result_.beyond_squared += squared;
    } else {
      add_module(id, difference, squared);
    }
  }

  void add_module(const ParameterId& id, const Tensor& difference, double squared) {
    const int64_t wanted = has_kernel(difference) ? options_.convolution_rank : options_.rank;
    const Tensor matrix = difference.flatten(1);
    const Decomposition parts = decompose_largest(matrix, wanted);
    const LoraModule module =
        module_from(parts, std::min(wanted, parts.s.size(0)), shape_of(difference), options_.dtype);
    const Tensor rest = matrix - dense_delta(module).to(torch::kFloat);
    result_.total_squared += squared;
    result_.lost_squared += rest.to(torch::kDouble).square().sum().item<double>();
    result_.modules[id] = module;
  }

  const Checkpoint& tuned_;
  const Checkpoint& base_;
  ExtractOptions options_;
  ExtractResult result_;
};

}  // namespace

double ExtractResult::relative_error() const {
  return total_squared > 0 ? std::sqrt(lost_squared / total_squared) : 0;
}

ExtractResult extract_lora(const Checkpoint& tuned, const Checkpoint& base,
                           const ExtractOptions& options, const Events& events) {
  if (options.rank < 1 || options.convolution_rank < 1)
    throw InvalidRequest("lora extract: ranks are whole numbers above 0");
  return Extractor(tuned, base, options).extract(events);
}

}  // namespace fourstep
