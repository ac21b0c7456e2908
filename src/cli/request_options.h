#pragma once
// The command-line side of Request: one flag per field, made from visit_fields().

#include <CLI/CLI.hpp>

#include "pipeline/request.h"

namespace fourstep {

/// The prompt, as --prompt and as the command's one word without an option.
CLI::Option* add_prompt_option(CLI::App& command, Request& request);

/// Adds a flag for every other field under the heading of its group; `request` must outlive the parse. Repeated flags for LoRAs and folders add up. Bad
/// values, and empty ones of fields that are no prose, end the parse with InvalidRequest.
void add_request_options(CLI::App& command, Request& request);

}  // namespace fourstep
