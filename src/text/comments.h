#pragma once
// Notes in prompts that are not meant for the model.

#include <string>
#include <string_view>

#include "base/dialect.h"

namespace fourstep {

/// The prompt as the dialect's program leaves it. A1111 and Forge: from "#" to the end of the line, the line end stays, and
/// a line that begins with "#" leaves one for both of its ends. ComfyUI: "//" to the end of the line and "/* ... */", wherever
/// they stand, in "https://..." too. This program's own dialect and diffusers know no comments.
/// Source: A1111's script `comments.py`, ComfyUI's front end (`processDynamicPrompt`), by their results.
std::string without_comments(std::string_view prompt, Dialect dialect);

}  // namespace fourstep
