#pragma once
// Whose rules a word follows where programs use one word for different things (schedules, prompts,
// seeds).

#include <span>
#include <string_view>

namespace fourstep {

enum class Dialect {
  kFourstep,   ///< this program's own; ComfyUI's where both know a name
  kComfy,      ///< ComfyUI
  kA1111,      ///< AUTOMATIC1111's web UI and Forge
  kDiffusers,  ///< Hugging Face diffusers
};

struct DialectRow {
  std::string_view name;
  Dialect dialect;
};

/// All spellings; the first one of a dialect is the one to print.
std::span<const DialectRow> dialect_rows();

/// The name to print, for instance "comfyui".
std::string_view dialect_name(Dialect dialect);

/// The dialect with this spelling. Throws InvalidRequest listing the known ones.
Dialect dialect_from_name(std::string_view name);

}  // namespace fourstep
