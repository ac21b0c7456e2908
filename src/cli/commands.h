#pragma once
// The subcommands. Each add_ function declares the options of one command and what runs when it is chosen;
// errors are thrown and caught once, in main().

#include <CLI/CLI.hpp>

namespace fourstep {

void add_generate_command(CLI::App& app);
void add_model_command(CLI::App& app);
void add_inspect_command(CLI::App& app);
void add_train_command(CLI::App& app);
void add_train_lora_command(CLI::App& app);
void add_distill_command(CLI::App& app);
void add_evaluate_command(CLI::App& app);
void add_lora_command(CLI::App& app);

// Verbs of `lora` in files of their own.
void add_lora_write_verbs(CLI::App& lora);   ///< convert, merge, resize, extract
void add_lora_detect_verbs(CLI::App& lora);  ///< detect, fingerprint, doctor

}  // namespace fourstep
