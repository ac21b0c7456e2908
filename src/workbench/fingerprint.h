#pragma once
// What must be known of a base model to find a LoRA in models made from it: one number per module
// of the LoRA, <W_base, D>, instead of gigabytes of weights. Kept as JSON.

#include <filesystem>
#include <map>
#include <string>

#include "base/events.h"
#include "io/checkpoint.h"
#include "lora/lora_match.h"
#include "workbench/strength.h"

namespace fourstep {

struct Fingerprint {
  std::filesystem::path path;  ///< where it was read from
  std::string base_name, base_family, base_dtype, base_sha256;
  std::string lora_name;
  std::map<std::string, Projection> modules;  ///< by module_key(); of the base's weights
};

/// "unet.mid_block.attentions.0.proj_in.weight".
std::string module_key(const ParameterId& id);

/// Projections of all modules of `match` (DoRA ones left out) on the weights of `checkpoint`, in
/// its order. Reports kLoad, one step per module; pages of mapped files are dropped as it goes.
std::map<std::string, Projection> project_all(const Checkpoint& checkpoint, const LoraMatch& match,
                                              const Events& events);

/// base_sha256 stays empty. Throws as open_checkpoint() and check_complete().
Fingerprint make_fingerprint(const std::filesystem::path& base, const std::filesystem::path& lora,
                             const Events& events);

/// Throws Error when the file cannot be written.
void write_fingerprint(const std::filesystem::path& path, const Fingerprint& fingerprint);

/// Throws Error naming the file and the key when it is no fingerprint.
Fingerprint read_fingerprint(const std::filesystem::path& path);

}  // namespace fourstep
