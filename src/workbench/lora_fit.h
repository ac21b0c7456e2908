#pragma once
// A LoRA file understood: which family it belongs to and which of the family's weights each module
// changes, so that files of all key styles are compared and joined under one name per weight.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lora/lora_match.h"
#include "workbench/lora_layouts.h"

namespace fourstep {

enum class FitKind {
  kComplete,     ///< every module has a weight of its shape
  kOtherWidths,  ///< every name is known, but the widths are those of another model of this layout
  kPartial       ///< some modules have no place
};

struct FittedLora {
  LoraFile file;
  LoraLayout layout;  ///< widths are the file's own where they differ
  LoraMatch match;
  FitKind kind = FitKind::kComplete;

  /// What each module adds, by the name of the parameter that it changes; unmatched ones are not
  /// there.
  std::map<ParameterId, LoraModule> modules() const;
};

/// The layout that `file` fits: of those that fit completely the one with the largest share of
/// changed modules, then one with other widths, then the one with the fewest misfits. layouts: at
/// least one.
FittedLora fit_lora(LoraFile file, const std::vector<LoraLayout>& layouts);

/// The published families, or the model at `model` alone when that is not empty.
std::vector<LoraLayout> layouts_for(const std::filesystem::path& model);

/// Opens and fits. Throws Error, as check_complete() does, when a module has no place.
FittedLora open_fitted(const std::filesystem::path& path, const std::vector<LoraLayout>& layouts);

/// Opens several that are to be compared or joined: all in the first layout that fits them all,
/// else each in its own. Throws as open_fitted().
std::vector<FittedLora> open_together(const std::vector<std::filesystem::path>& paths,
                                      const std::vector<LoraLayout>& layouts);

/// The layout of all of them, with the widths of each. Throws Error naming two files of different
/// families, or whose modules have different shapes.
LoraLayout common_layout(const std::vector<FittedLora>& loras);

/// "unet.down_blocks.0.resnets.0.conv1.weight".
std::string text_of(const ParameterId& id);

}  // namespace fourstep
