#pragma once
// A list of modules of one type, whose members are named "0", "1", ... as in checkpoints.

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <string>
#include <utility>
#include <vector>

namespace fourstep {

/// Holder: a type made by TORCH_MODULE. Unlike torch's nn::ModuleList it needs no casts on access.
template <typename Holder>
class ModuleListImpl : public torch::nn::Module {
 public:
  void push_back(Holder module) {
    items_.push_back(register_module(std::to_string(items_.size()), std::move(module)));
  }
  size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  Holder& operator[](size_t i) { return items_[i]; }
  Holder& back() { return items_.back(); }
  auto begin() { return items_.begin(); }
  auto end() { return items_.end(); }

 private:
  std::vector<Holder> items_;
};

template <typename Holder>
using ModuleList = std::shared_ptr<ModuleListImpl<Holder>>;

template <typename Holder>
ModuleList<Holder> make_module_list() {
  return std::make_shared<ModuleListImpl<Holder>>();
}

}  // namespace fourstep
