#pragma once
// Which weight of the model a module name of a LoRA file means. Names are looked up in a dictionary
// made from the model's own parameter names, spelled in every style that trainers write; they are
// never taken apart at underscores, because `to_q`, `proj_in` and many others contain some.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/tensor.h"
#include "io/checkpoint.h"

namespace fourstep {

/// All modules of a model that a LoRA may name. Immutable; lookups from several threads are safe.
class LoraTargets {
 public:
  /// shapes: of the weights of UNet and text encoders, diffusers names.
  /// ldm_names: ldm name (`input_blocks.1.1.proj_in`) by diffusers name of the UNet's modules or
  /// parameters (`.weight` and the prefix `model.diffusion_model.` may be there); may be empty.
  LoraTargets(std::map<Component, NamedShapes> shapes,
              const std::map<std::string, std::string>& ldm_names);

  /// Rows [begin, begin+count) of a (fused) layer in the file, which are the whole module here.
  struct Slice {
    std::string module;             ///< diffusers name, without ".weight"
    int64_t begin = 0, count = -1;  ///< count -1: the layer is not fused
  };
  struct Target {
    Component component = Component::kUnet;
    std::vector<Slice> slices;
  };

  /// Everything that `name` (as in the file) can mean, the likeliest first: names such as
  /// `base_model.model.text_model...` do not say which text encoder.
  std::vector<Target> find(const std::string& name) const;

  /// True when the name begins with a prefix of a component that the model does not have.
  std::optional<Component> missing_component(const std::string& name) const;

  /// Shape of a parameter, or null when the component has none of this name.
  const Shape* shape(Component component, const std::string& parameter) const;

  /// Width of the text that the UNet attends to; 0 when it has no cross attention.
  int64_t cross_width() const;

 private:
  using Dictionary = std::unordered_map<std::string, std::vector<Slice>>;
  void add_unet_names(const std::string& module, const std::string& ldm_name);
  void add_text_names(Component component, const std::string& module);
  void add_name(Component component, const std::string& spelling, const Slice& slice);

  std::map<Component, NamedShapes> shapes_;
  std::map<Component, Dictionary> names_;  ///< spelled with '_' instead of '.', without prefix
};

/// Every '.' as '_': how kohya's trainers spell the names of modules.
std::string with_underscores(std::string name);

/// The targets that a checkpoint offers. It must have a UNet.
LoraTargets lora_targets_of(const Checkpoint& checkpoint);

// Recognises by their key names the files that people mistake for LoRAs, and the LoRA kinds and
// model families that cannot be applied, so that messages can name them.

/// The name of a LoRA kind that is refused ("PEFT's OFT (oft_R)", "VeRA", ...) when `key` belongs
/// to one, else null.
const char* refused_kind(const std::string& key);

/// Half a sentence on what a file without any LoRA module is ("it looks like a full checkpoint:
/// ..."), from its keys.
std::string describe_foreign_keys(const NamedTensors& tensors);

/// The model family that only such module names belong to ("Flux", "SD 3", ...), or null.
const char* foreign_family(const std::vector<std::string>& module_names);

/// The family whose UNet attends to text of this width: "SD 1.5" (768), "SD 2" (1024), "SDXL"
/// (2048), "SDXL refiner" (1280), or null.
const char* family_of_cross_width(int64_t width);

}  // namespace fourstep
