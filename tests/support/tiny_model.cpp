#include "support/tiny_model.h"

#include <ATen/CPUGeneratorImpl.h>

#include "io/safetensors.h"
#include "io/single_file.h"
#include "nets/vae.h"
#include "support/random_weights.h"
#include "text/clip.h"

namespace fourstep::testing {

namespace {

constexpr const char* kMerges = "#version: 0.2\na t</w>\nc at</w>\nf o\nfo x</w>\n";
constexpr int64_t kVocabSize = 514 + 4;
constexpr int64_t kTextWidth = kTinyTextWidth, kTextWidth2 = kTinyTextWidth2;

NamedTensors weights_of(const nn::Module& network) {
  NamedShapes shapes;
  for (const auto& item : network.named_parameters()) shapes[item.key()] = shape_of(item.value());
  return random_weights(shapes);
}

UNetConfig unet_config() {
  UNetConfig config;
  config.levels = {{64, 1, {0}, {0, 0}}, {128, 2, {1}, {1, 1}}};
  config.mid_depth = 1;
  config.cross_width = kTextWidth + kTextWidth2;
  config.time_width = 256;
  config.added_width = kTextWidth2 + 6 * 256;
  return config;
}

NamedTensors text_weights(int64_t width, int64_t projection) {
  ClipConfig config;
  config.vocab_size = kVocabSize;
  config.width = width;
  config.heads = width / 64;
  config.layers = 2;
  config.mlp_width = width;
  config.projection = projection;
  return weights_of(*ClipText(config));
}

}  // namespace

UNet tiny_unet() {
  UNet unet(unet_config());
  load_weights(*unet, weights_of(*unet), {}, "tiny UNet");
  return unet;
}

Conditioning tiny_conditioning(int64_t count, uint64_t seed) {
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  return {at::randn({count, 5, kTextWidth + kTextWidth2}, generator, torch::kFloat32),
          at::randn({count, kTextWidth2}, generator, torch::kFloat32),
          size_time_ids({64, 64, 0, 0, 64, 64}).expand({count, -1})};
}

Checkpoint tiny_sdxl() {
  VaeConfig vae;
  vae.channels = {32, 32, 32, 32};
  vae.resnets = 1;
  Checkpoint checkpoint;
  checkpoint.family = Family::kSdxl;
  checkpoint.components[Component::kUnet] = weights_of(*UNet(unet_config()));
  checkpoint.components[Component::kVae] = weights_of(*Vae(vae));
  checkpoint.components[Component::kTextEncoder] = text_weights(kTextWidth, 0);
  checkpoint.components[Component::kTextEncoder2] = text_weights(kTextWidth2, kTextWidth2);
  checkpoint.merges_text = kMerges;
  return checkpoint;
}

void write_tiny_sdxl(const std::filesystem::path& path,
                     const std::function<void(Checkpoint&)>& change) {
  Checkpoint checkpoint = tiny_sdxl();
  if (change) change(checkpoint);
  const TensorFile file = single_file_of(checkpoint);
  write_safetensors(path, file.tensors, file.metadata);
}

void write_tiny_inversion(const std::filesystem::path& path) {
  write_safetensors(path, {{"clip_l", torch::ones({2, kTinyTextWidth})},
                           {"clip_g", torch::ones({2, kTinyTextWidth2})}});
}

void write_tiny_lora(const std::filesystem::path& path) {
  NamedTensors tensors;
  torch::manual_seed(11);
  for (const char* projection : {"to_q", "to_k", "to_v", "to_out_0"}) {
    const std::string name =
        fmt::format("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_{}", projection);
    tensors[name + ".lora_down.weight"] = torch::randn({2, 128}) / 11.3;
    tensors[name + ".lora_up.weight"] = torch::randn({128, 2});
    tensors[name + ".alpha"] = torch::tensor(2.f);
  }
  write_safetensors(path, tensors);
}

}  // namespace fourstep::testing
