#include "lora/lora_stack.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace fourstep {
namespace {

bool is_same(const std::vector<WeightedModule>& a, const std::vector<WeightedModule>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.weight == y.weight && compare_content(x.module, y.module) == 0;
  });
}

void check_weight(double weight, const LoraMatch& match) {
  if (std::isfinite(weight)) return;
  throw InvalidRequest("lora \"{}\": weight {} is not a finite number", match.path.string(),
                       weight);
}

}  // namespace

LoraTerms terms_by_parameter(const std::vector<AppliedLora>& loras) {
  LoraTerms wanted;
  for (const AppliedLora& lora : loras) {
    check_weight(lora.unet_weight, lora.match);
    check_weight(lora.text_weight, lora.match);
    for (const MatchedModule& m : lora.match.matched) {
      const double weight = m.component == Component::kUnet ? lora.unet_weight : lora.text_weight;
      if (weight != 0) wanted[{m.component, m.parameter}].push_back({m.module, weight});
    }
  }
  for (auto& [id, terms] : wanted) terms = canonical_terms(std::move(terms));
  std::erase_if(wanted, [](const auto& entry) { return entry.second.empty(); });
  return wanted;
}

LoraStack::LoraStack(std::map<Component, NamedTensors> pristine) : pristine_(std::move(pristine)) {}

std::vector<ParameterId> LoraStack::set(const std::vector<AppliedLora>& loras,
                                        const WriteParameter& write) {
  const LoraTerms wanted = terms_by_parameter(loras);
  const std::vector<ParameterId> ids = changed(wanted);
  for (const ParameterId& id : ids) {
    const auto terms = wanted.find(id);
    const bool is_plain = terms == wanted.end();
    write(id, pristine(id), is_plain ? std::vector<WeightedModule>{} : terms->second);
    if (is_plain) {
      current_.erase(id);
    } else {
      current_[id] = terms->second;
    }
  }
  return ids;
}

std::vector<ParameterId> LoraStack::changed(const LoraTerms& wanted) const {
  std::vector<ParameterId> ids;
  for (const auto& [id, terms] : wanted) {
    const auto present = current_.find(id);
    if (present == current_.end() || !is_same(present->second, terms)) ids.push_back(id);
  }
  for (const auto& [id, terms] : current_) {
    if (wanted.count(id) == 0) ids.push_back(id);
  }
  return ids;
}

const Tensor& LoraStack::pristine(const ParameterId& id) const {
  const auto component = pristine_.find(id.component);
  if (component != pristine_.end()) {
    const auto tensor = component->second.find(id.name);
    if (tensor != component->second.end()) return tensor->second;
  }
  throw Error("lora: the model has no weight \"{}\"", id.name);
}

}  // namespace fourstep
