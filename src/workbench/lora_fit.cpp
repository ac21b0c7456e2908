#include "workbench/lora_fit.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "lora/fuse.h"
#include "lora/relative_change.h"

namespace fourstep {
namespace {

/// `published` with the rows and columns that OFT or IA3 show.
std::optional<Shape> shape_with_extents(const LoraModule& module, const Shape* published) {
  if (!published || published->size() < 2) return std::nullopt;
  Shape shape = *published;
  const Shape extents = relative_extents(module);
  for (size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] >= 0) shape[i] = extents[i];
  }
  return shape;
}

/// The shape of the weight that `module` changes: its own extents, with the kernel of a
/// convolution. published: that of the family's model, for kinds that do not show the whole.
std::optional<Shape> own_shape(const LoraModule& module, const Shape* published) {
  if (const auto* whole = std::get_if<Replacement>(&module.weight)) return shape_of(whole->value);
  if (const auto* glora = std::get_if<GLoRA>(&module.weight))
    return own_shape(LoraModule{glora->b, {}, {}, {}}, published);
  const std::optional<Shape> extents = delta_extents(module);
  if (is_relative(module)) return shape_with_extents(module, published);
  const auto* low = std::get_if<LowRank>(&module.weight);
  if (!extents || !low || low->down.dim() != 4) return extents;
  const Tensor& kernel = low->mid.defined() ? low->mid : low->down;
  if (kernel.dim() != 4) return extents;
  return Shape{(*extents)[0], low->down.size(1), kernel.size(2), kernel.size(3)};
}

/// `layout` with the file's widths; nothing when it does not know all names.
std::optional<LoraLayout> with_widths_of(const LoraFile& file, LoraLayout layout) {
  const LoraTargets targets = make_targets(layout);
  const auto widen = [&](const auto& modules, const char* parameter) {
    for (const auto& [name, module] : modules) {
      const std::vector<LoraTargets::Target> found = targets.find(name);
      if (found.empty()) return false;
      const LoraTargets::Target& target = found.front();
      for (const LoraTargets::Slice& slice : target.slices) {
        const std::string id = slice.module + parameter;
        const Shape* published = targets.shape(target.component, id);
        std::optional<Shape> part = own_shape(module, published);
        if (!part || !published) return false;
        (*part)[0] /= static_cast<int64_t>(target.slices.size());
        if (published->size() == 1) part->resize(1);
        layout.shapes[target.component][id] = *part;
      }
    }
    return true;
  };
  const bool knows_all = widen(file.weights, ".weight") && widen(file.biases, ".bias");
  return knows_all ? std::optional(layout) : std::nullopt;
}

/// Matched parameters among those that a LoRA usually changes, which have two dimensions or more.
double coverage(const LoraMatch& match, const LoraLayout& layout) {
  size_t total = 0;
  for (const auto& [component, shapes] : layout.shapes) {
    if (component != Component::kUnet) continue;
    total += static_cast<size_t>(std::count_if(
        shapes.begin(), shapes.end(), [](const auto& item) { return item.second.size() > 1; }));
  }
  return static_cast<double>(match.matched.size()) /
         static_cast<double>(std::max<size_t>(1, total));
}

}  // namespace

std::map<ParameterId, LoraModule> FittedLora::modules() const {
  std::map<ParameterId, LoraModule> modules;
  for (const MatchedModule& m : match.matched) modules[{m.component, m.parameter}] = m.module;
  return modules;
}

FittedLora fit_lora(LoraFile file, const std::vector<LoraLayout>& layouts) {
  std::optional<FittedLora> best;
  const auto offer = [&](FittedLora candidate) {
    const auto score = [](const FittedLora& fit) {
      const double misfits = -static_cast<double>(fit.match.unmatched.size());
      const bool is_complete = fit.kind == FitKind::kComplete;
      return std::tuple(-static_cast<int>(fit.kind),
                        is_complete ? coverage(fit.match, fit.layout) : misfits);
    };
    if (!best || score(candidate) > score(*best)) best = std::move(candidate);
  };
  for (const LoraLayout& layout : layouts) {
    LoraMatch match = match_lora(file, make_targets(layout));
    const FitKind kind = match.unmatched.empty() ? FitKind::kComplete : FitKind::kPartial;
    offer({{}, layout, std::move(match), kind});
  }
  if (best->kind == FitKind::kPartial && layouts.size() > 1) {
    for (const LoraLayout& layout : layouts) {
      const std::optional<LoraLayout> widened = with_widths_of(file, layout);
      if (!widened) continue;
      LoraMatch match = match_lora(file, make_targets(*widened));
      if (match.unmatched.empty()) offer({{}, *widened, std::move(match), FitKind::kOtherWidths});
    }
  }
  best->file = std::move(file);
  return std::move(*best);
}

std::vector<LoraLayout> layouts_for(const std::filesystem::path& model) {
  if (model.empty()) return published_layouts();
  return {layout_of_model(model)};
}

FittedLora open_fitted(const std::filesystem::path& path, const std::vector<LoraLayout>& layouts) {
  FittedLora fit = fit_lora(open_lora(path), layouts);
  check_complete(fit.match);
  return fit;
}

std::vector<FittedLora> open_together(const std::vector<std::filesystem::path>& paths,
                                      const std::vector<LoraLayout>& layouts) {
  for (const LoraLayout& layout : layouts) {
    std::vector<FittedLora> loras;
    for (const std::filesystem::path& path : paths) {
      FittedLora fit = fit_lora(open_lora(path), {layout});
      if (fit.kind == FitKind::kComplete) loras.push_back(std::move(fit));
    }
    if (loras.size() == paths.size()) return loras;
  }
  std::vector<FittedLora> loras;
  for (const std::filesystem::path& path : paths) loras.push_back(open_fitted(path, layouts));
  return loras;
}

LoraLayout common_layout(const std::vector<FittedLora>& loras) {
  LoraLayout layout = loras.front().layout;
  std::map<ParameterId, const FittedLora*> owners;
  for (const FittedLora& lora : loras) {
    if (lora.layout.name != layout.name) {
      throw Error(
          "\"{}\" is a LoRA for {} and \"{}\" for {}: only those of one family can be joined",
          loras.front().file.path.string(), layout.name, lora.file.path.string(), lora.layout.name);
    }
    for (const MatchedModule& m : lora.match.matched) {
      Shape& ours = layout.shapes[m.component][m.parameter];
      const Shape& its = lora.layout.shapes.at(m.component).at(m.parameter);
      const auto [owner, is_new] = owners.emplace(ParameterId{m.component, m.parameter}, &lora);
      if (!is_new && ours != its) {
        throw Error("\"{}\" and \"{}\" change {} in different shapes, {} and {}",
                    owner->second->file.path.string(), lora.file.path.string(), m.parameter,
                    to_string(ours), to_string(its));
      }
      ours = its;
    }
  }
  return layout;
}

std::string text_of(const ParameterId& id) {
  return fmt::format("{}.{}", to_string(id.component), id.name);
}

}  // namespace fourstep
