#include "request/resources.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/error.h"

namespace fourstep {

namespace fs = std::filesystem;

namespace {

std::optional<std::string> read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

fs::path program_folder() {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/exe", ignored).parent_path();
}

/// Beside an installed program (bin/../share/fourstep), beside a build (build/NAME/bin), where it
/// was built.
std::vector<fs::path> clip_merges_candidates() {
  const fs::path folder = program_folder();
  return {folder / "../share/fourstep/clip/merges.txt", folder / "../../../share/clip/merges.txt",
          fs::path(FOURSTEP_SOURCE_DIR) / "share/clip/merges.txt"};
}

std::vector<fs::path> default_model_candidates() {
  const fs::path folder = program_folder();
  return {folder / "../share/fourstep/models/emoji", folder / "../../../models/emoji",
          fs::path(FOURSTEP_SOURCE_DIR) / "models/emoji"};
}

}  // namespace

Vocabulary find_vocabulary(const Checkpoint& checkpoint) {
  if (!checkpoint.merges_text.empty()) {
    return {checkpoint.merges_text, checkpoint.path.string() + ": metadata fourstep.merges"};
  }
  if (checkpoint.tokenizer_folder) {
    const fs::path file = *checkpoint.tokenizer_folder / "merges.txt";
    if (auto text = read_text(file)) return {*text, file.string()};
  }
  for (const fs::path& file : clip_merges_candidates()) {
    if (auto text = read_text(file)) return {*text, file.string()};
  }
  throw Error(
      "{}: no vocabulary: the model carries none and {} is not there; run scripts/setup, which "
      "fetches "
      "CLIP's, or use a diffusers folder with a tokenizer",
      checkpoint.path.string(), (fs::path(FOURSTEP_SOURCE_DIR) / "share/clip/merges.txt").string());
}

std::optional<DefaultModel> find_default_model() {
  for (const fs::path& folder : default_model_candidates()) {
    DefaultModel model{folder / "emoji.safetensors",
                       folder / "emoji_dmd2_4step_lora_fp16.safetensors"};
    if (fs::exists(model.checkpoint) && fs::exists(model.dmd2_lora)) {
      return DefaultModel{model.checkpoint.lexically_normal(), model.dmd2_lora.lexically_normal()};
    }
  }
  return std::nullopt;
}

}  // namespace fourstep
