#include "base/error.h"
#include "io/peft_config.h"
#include "io/quantisation.h"
#include "io/weight_files.h"
#include "lora/lora_file.h"

namespace fourstep {
namespace {

std::filesystem::path weights_in(const std::filesystem::path& folder) {
  for (const char* name : {"adapter_model.safetensors", "pytorch_lora_weights.safetensors",
                           "adapter_model.bin", "pytorch_lora_weights.bin"}) {
    if (std::filesystem::exists(folder / name)) return folder / name;
  }
  if (has_usual_weights(folder)) return find_weight_files(folder).files.front();
  throw Error(
      "open_lora(\"{}\"): the folder holds neither adapter_model nor pytorch_lora_weights "
      "(.safetensors or .bin); give the LoRA file itself",
      folder.string());
}

}  // namespace

LoraSource open_lora_source(const std::filesystem::path& path) {
  const bool is_folder = std::filesystem::is_directory(path);
  const std::filesystem::path file = is_folder ? weights_in(path) : path;
  // A configuration counts only beside PEFT's own file name: a folder of downloads may hold anything.
  const bool is_peft = stem_without_shard(file) == "adapter_model";
  LoraSource source{open_weights(file), std::nullopt};
  check_readable(unreadable_file(source.file));
  if (is_peft) source.peft = read_peft_config(file.parent_path());
  return source;
}

LoraFile open_lora(const std::filesystem::path& path, ValueCheck check) {
  const LoraSource source = open_lora_source(path);
  return parse_lora(source.file, source.peft, check);
}

}  // namespace fourstep
