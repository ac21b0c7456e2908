#pragma once
// Options that several verbs of `lora` and `model` share.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "workbench/rebalance.h"

namespace fourstep {

/// What a file is written as.
struct StorageOptions {
  std::string dtype;  ///< empty: every tensor keeps its type
  std::string rounding = "nearest";
  uint64_t seed = 0;
  bool without_hashes = false;

  std::optional<Storage> storage() const;
  StorageRounding rounding_rule() const;
};

void add_storage_options(CLI::App& command, StorageOptions& options);

/// How to find a LoRA in a checkpoint.
struct DetectOptions {
  std::string checkpoint, lora, base;
  std::vector<std::string> fingerprints;
  bool is_partial_allowed = false;

  DetectSettings settings() const;
};

void add_detect_options(CLI::App& command, DetectOptions& options);

/// --model, for verbs that look at LoRAs alone.
void add_lora_model_option(CLI::App& command, std::string& model);

/// --unet, --vae, --text-encoder, --text-encoder-2.
void add_part_options(CLI::App& command, ModelPaths& parts);

/// --json and --quiet.
struct PrintOptions {
  bool is_json = false, is_quiet = false;
};

void add_print_options(CLI::App& command, PrintOptions& options);

}  // namespace fourstep
