#pragma once
// LoRAs by name: of --lora and of the <lora:...> tags in prompts.

#include <string>
#include <vector>

#include "base/events.h"
#include "request/request.h"

namespace fourstep {

/// The request with the path of a file or folder for each of its LoRAs. What is no path is a name:
/// of a file below a --lora-dir, or else beside the model; see find_named().
/// Throws InvalidRequest naming the LoRA, where it was looked for, and the names most like it.
Request with_lora_files(Request request);

/// The request with the shipped model where it names none, checked (validate()), with its LoRAs
/// found. Throws InvalidRequest as with_default_model(), validate() and with_lora_files() do. Doing
/// it again changes nothing.
Request checked_request(Request request);

/// All LoRAs of the request: its own, then those of the tags in its prompt, which are names and
/// never paths, so that a prompt from elsewhere opens no other files. The tags stay in the prompt,
/// so image metadata has them once. Only A1111's grammar has tags.
/// Notices say which tags and settings have no effect. Throws InvalidRequest as with_lora_files()
/// and lora_tag() do.
std::vector<LoraUse> loras_of(const Request& request, const Events& events);

}  // namespace fourstep
