#include "train/lora_export.h"

#include "io/safetensors.h"

namespace fourstep {

Metadata lora_metadata(const LoraIdentity& identity, const nlohmann::ordered_json& recipe) {
  return {{"fourstep.recipe", dump_json(recipe)},
          {"ss_network_dim", std::to_string(identity.rank)},
          {"ss_network_alpha", text_from_value(identity.alpha)},
          {"ss_network_module", "networks.lora"},
          {"ss_base_model_version", identity.base_model_version},
          {"modelspec.title", identity.title}};
}

void write_lora_files(const std::filesystem::path& stem, const Adapter& adapter,
                      const NamedTensors& factors, const Metadata& metadata) {
  for (const auto& [name, dtype] :
       {std::pair{"fp32", torch::kFloat32}, {"fp16", torch::kFloat16}}) {
    write_safetensors(stem.string() + fmt::format("_{}.safetensors", name),
                      adapter.exported(factors, dtype), metadata);
  }
}

}  // namespace fourstep
