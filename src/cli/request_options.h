#pragma once
// The command-line side of Request: one flag per field, made from visit_fields().

#include <CLI/CLI.hpp>

#include "pipeline/request.h"

namespace fourstep {

/// Adds a flag for every field under the heading of its group; `request` must outlive the parse. Repeated flags for LoRAs and folders add up. Bad values end
/// the parse with InvalidRequest.
void add_request_options(CLI::App& command, Request& request);

}  // namespace fourstep
