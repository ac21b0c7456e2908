#pragma once
// Options that people know from stable-diffusion.cpp, A1111, diffusers and ComfyUI and that are not here: what to do
// instead, or that it cannot be done yet. What is the same under another name is an alias in request/request.h.

#include <string>
#include <string_view>

namespace fourstep {

/// A sentence about an option of another program, "--strength" for instance; empty when nothing is known of it.
std::string explain_foreign_option(std::string_view flag);

}  // namespace fourstep
