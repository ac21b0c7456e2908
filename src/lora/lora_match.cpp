#include "lora/lora_match.h"

#include <fmt/ranges.h>
#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "io/text_encoding.h"
#include "lora/fuse.h"
#include "lora/lora_keys.h"
#include "lora/relative_change.h"

namespace fourstep {

namespace {

constexpr size_t kNamesInMessage = 3;

const LoraModule* find_module(const std::map<std::string, LoraModule>& modules,
                              const std::string& name) {
  const auto found = modules.find(name);
  return found == modules.end() ? nullptr : &found->second;
}

/// Rows and columns for messages; of OFT and IA3 what they show of them.
Shape known_extents(const LoraModule& module) {
  if (const auto extents = delta_extents(module)) return *extents;
  Shape known = is_relative(module) ? relative_extents(module) : Shape{};
  std::erase(known, -1);
  return known;
}

std::string count_text(size_t count, const char* one, const char* several) {
  return count == 1 ? fmt::format("1 {}", one) : fmt::format("{} {}", count, several);
}

std::vector<std::string> notes_of(const LoraFile& file, const LoraMatch& match) {
  std::vector<std::string> notes;
  if (!file.empty_modules.empty()) {
    notes.push_back(fmt::format(
        "{} nothing (first: {})",
        count_text(file.empty_modules.size(), "module of rank 0 adds", "modules of rank 0 add"),
        printable(file.empty_modules.front())));
  }
  const auto replaced = std::count_if(
      match.matched.begin(), match.matched.end(),
      [](const auto& m) { return std::holds_alternative<Replacement>(m.module.weight); });
  if (replaced > 0) {
    notes.push_back(fmt::format(
        "{} replaced by what the file holds, in full at any weight but 0",
        count_text(static_cast<size_t>(replaced), "weight or bias is", "weights and biases are")));
  }
  for (const auto& [name, parts] : file.embeddings) {
    for (const auto& [part, tensor] : parts) {
      if (!is_output_part(part)) continue;
      notes.push_back(fmt::format(
          "the embedding {} has vectors for the output of a text encoder ({}), which stay "
          "unused",
          printable(name), printable(part)));
    }
  }
  return notes;
}

/// Resolves module names one by one, remembering which weights are taken.
class Matcher {
 public:
  Matcher(const LoraFile& file, const LoraTargets& targets) : file_(file), targets_(targets) {}

  LoraMatch match() {
    match_.path = file_.path;
    for (const std::string& name : file_.module_names()) resolve(name);
    for (const std::string& key : file_.unknown_keys) match_.unmatched.push_back({key, {}, {}});
    match_.num_modules = file_.module_names().size() + file_.unknown_keys.size();
    return std::move(match_);
  }

 private:
  void resolve(const std::string& name) {
    UnmatchedModule misfit{name, {}, {}};
    for (const LoraTargets::Target& target : targets_.find(name)) {
      std::vector<MatchedModule> found;
      if (place(name, target, found, misfit) && take(name, found)) {
        ++match_.num_matched[target.component];
        return;
      }
    }
    match_.unmatched.push_back(std::move(misfit));
  }

  /// False when the module does not fit the target; `misfit` then says why.
  bool place(const std::string& name, const LoraTargets::Target& target,
             std::vector<MatchedModule>& found, UnmatchedModule& misfit) {
    const LoraModule* weight = find_module(file_.weights, name);
    const LoraModule* bias = find_module(file_.biases, name);
    return (!weight || place_part(*weight, ".weight", target, found, misfit)) &&
           (!bias || place_part(*bias, ".bias", target, found, misfit));
  }

  bool place_part(const LoraModule& module, const char* part, const LoraTargets::Target& target,
                  std::vector<MatchedModule>& found, UnmatchedModule& misfit) {
    for (const LoraTargets::Slice& slice : target.slices) {
      const std::string parameter = slice.module + part;
      const Shape* shape = targets_.shape(target.component, parameter);
      if (!shape) {
        const std::string weight = slice.module + ".weight";
        misfit.lacks_bias = part == std::string_view(".bias") &&
                            targets_.shape(target.component, weight) != nullptr;
        return false;
      }
      Shape full = *shape;
      if (slice.count >= 0) full[0] *= static_cast<int64_t>(target.slices.size());
      if (!fits_shape(module, full)) {
        if (!misfit.got) misfit.got = known_extents(module);
        if (!misfit.expected) misfit.expected = full;
        return false;
      }
      found.push_back({target.component,
                       parameter,
                       slice.count < 0 ? module : take_rows(module, full, slice.begin, slice.count),
                       {}});
    }
    return true;
  }

  /// Adds the modules to the result; false when an earlier name of the file meant one of the
  /// weights.
  bool take(const std::string& name, std::vector<MatchedModule>& found) {
    for (const MatchedModule& m : found) {
      if (taken_.count({m.component, m.parameter}) != 0) return false;
    }
    for (MatchedModule& m : found) {
      taken_.emplace(m.component, m.parameter);
      m.name = name;
      match_.matched.push_back(std::move(m));
    }
    return true;
  }

  const LoraFile& file_;
  const LoraTargets& targets_;
  LoraMatch match_;
  std::set<std::pair<Component, std::string>> taken_;
};

/// Width of the text that the LoRA's UNet attends to; 0 when the file does not show it.
int64_t cross_width_of(const LoraFile& file) {
  for (const auto& [name, module] : file.weights) {
    const bool is_cross = name.ends_with("attn2_to_k") || name.ends_with("attn2.to_k") ||
                          name.ends_with("attn2.processor.to_k");
    const std::optional<Shape> extents = is_cross ? delta_extents(module) : std::nullopt;
    if (extents) return (*extents)[1];
  }
  return 0;
}

std::string family_text(int64_t width) {
  const char* family = family_of_cross_width(width);
  return fmt::format("{} (cross-attention width {})", family ? family : "another family", width);
}

std::string find_cause(const LoraFile& file, const LoraMatch& match, const LoraTargets& targets) {
  const std::vector<std::string> names = file.module_names();
  if (const char* family = foreign_family(names)) {
    return fmt::format("it looks like a LoRA for {}", family);
  }
  const int64_t width = cross_width_of(file), ours = targets.cross_width();
  if (width != 0 && ours != 0 && width != ours) {
    return fmt::format("it looks like a LoRA for {} and the model is {}", family_text(width),
                       family_text(ours));
  }
  for (const UnmatchedModule& module : match.unmatched) {
    if (const auto component = targets.missing_component(module.name)) {
      return fmt::format("the model has no {}", to_string(*component));
    }
    if (module.lacks_bias) {
      return fmt::format("\"{}\" adds to the bias of a layer that has none", module.name);
    }
    if (module.got && module.expected) {
      return fmt::format("\"{}\" holds a difference of {} for a weight of shape {}", module.name,
                         to_string(*module.got), to_string(*module.expected));
    }
  }
  const auto version = file.metadata.find("ss_base_model_version");
  if (version != file.metadata.end()) {
    return fmt::format("its metadata says that it was trained on {}", version->second);
  }
  return "the model has no such modules (reduced models such as SSD-1B lack many blocks of SDXL)";
}

}  // namespace

LoraMatch match_lora(const LoraFile& file, const LoraTargets& targets) {
  LoraMatch match = Matcher(file, targets).match();
  match.metadata = file.metadata;
  match.embeddings = file.embeddings;
  match.notes = notes_of(file, match);
  if (!match.unmatched.empty()) match.likely_cause = find_cause(file, match, targets);
  return match;
}

void check_complete(const LoraMatch& match, bool is_partial_allowed) {
  if (match.unmatched.empty() || (is_partial_allowed && !match.matched.empty())) return;
  std::vector<std::string> names;
  for (const UnmatchedModule& module : match.unmatched) {
    if (names.size() < kNamesInMessage) names.push_back("\"" + module.name + "\"");
  }
  const size_t rest = match.num_modules - match.unmatched.size();
  throw Error("load_lora(\"{}\"): {} of {} modules do not fit the model (first: {}); {}{}",
              match.path.string(), match.unmatched.size(), match.num_modules,
              fmt::join(names, ", "), match.likely_cause,
              rest == 0 ? "" : fmt::format("; --lora-partial applies the other {}", rest));
}

std::string summary(const LoraMatch& match) {
  size_t total = 0;
  std::vector<std::string> parts;
  for (const auto& [component, count] : match.num_matched) {
    total += count;
    parts.push_back(fmt::format("{} {}", count, to_string(component)));
  }
  const bool is_unet_only = parts.size() <= 1 && match.num_matched.count(Component::kUnet) == 1;
  return fmt::format(
      "{}/{} modules{}", total, match.num_modules,
      is_unet_only || parts.empty() ? "" : fmt::format(" ({})", fmt::join(parts, ", ")));
}

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
