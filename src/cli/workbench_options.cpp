#include "cli/workbench_options.h"

#include "base/fields.h"

namespace fourstep {

std::optional<Storage> StorageOptions::storage() const {
  if (dtype.empty()) return std::nullopt;
  return storage_from_text("--dtype", dtype);
}

StorageRounding StorageOptions::rounding_rule() const {
  check_word("--rounding", rounding, {"nearest", "stochastic"});
  return rounding == "stochastic" ? StorageRounding::kStochastic : StorageRounding::kNearest;
}

void add_storage_options(CLI::App& command, StorageOptions& options) {
  command.add_option(
      "--dtype", options.dtype,
      "fp32, fp16, bf16 or fp8 (e4m3; norms, biases and VAE in fp16); default: as they are");
  command.add_option("--rounding", options.rounding,
                     "nearest, or stochastic: loses no small change on average (bf16, fp8)");
  command.add_option("--seed", options.seed, "of stochastic rounding");
  command.add_flag("--no-hashes", options.without_hashes,
                   "leave SHA-256 of the parts out of the metadata; they are read whole for it");
}

DetectSettings DetectOptions::settings() const {
  DetectSettings settings;
  settings.lora = lora;
  if (!base.empty()) settings.base = base;
  settings.fingerprints.assign(fingerprints.begin(), fingerprints.end());
  settings.is_partial_allowed = is_partial_allowed;
  return settings;
}

void add_detect_options(CLI::App& command, DetectOptions& options) {
  command.add_option("CHECKPOINT", options.checkpoint, "checkpoint file or diffusers folder")
      ->type_name("")
      ->required();
  command.add_option("--lora", options.lora, "the LoRA to look for")->required();
  command.add_option("--base", options.base, "the model that the checkpoint was made from");
  command.add_option("--fingerprint", options.fingerprints,
                     "of a possible base (lora fingerprint); may be repeated, the best one counts");
  command.add_flag("--lora-partial", options.is_partial_allowed,
                   "look at the modules that fit, where not all do");
}

void add_lora_model_option(CLI::App& command, std::string& model) {
  command
      .add_option("--model", model,
                  "checkpoint that the LoRA is for, where it is of no published size")
      ->type_name("");
}

void add_part_options(CLI::App& command, ModelPaths& parts) {
  command.add_option("--unet", parts.unet, "UNet file that takes the place of the checkpoint's");
  command.add_option("--vae", parts.vae, "VAE file, alike");
  command.add_option("--text-encoder", parts.text_encoder, "first text encoder, alike");
  command.add_option("--text-encoder-2", parts.text_encoder_2, "second text encoder, alike");
}

void add_print_options(CLI::App& command, PrintOptions& options) {
  command.add_flag("--json", options.is_json, "print JSON");
  command.add_flag("-q,--quiet", options.is_quiet, "no progress bar");
}

}  // namespace fourstep
