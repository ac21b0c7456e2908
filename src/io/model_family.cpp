#include "io/model_family.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "base/text_tools.h"
#include "io/checkpoint.h"
#include "io/model_parts.h"
#include "io/module_names.h"

namespace fourstep {
namespace {

constexpr const char* kUseOther = "use an SDXL, SSD-1B, Segmind-Vega or SD 1.5 model";
constexpr const char* kUnknown = "file of unknown content";
constexpr const char* kUseLora = "give it with --lora beside a model";
constexpr const char* kUseVae = "give it with --vae beside a model";
constexpr const char* kUseText = "give it with --text-encoder or --text-encoder-2 beside a model";

/// A piece of a tensor's name that betrays a kind of file.
struct Mark {
  const char* piece;
  const char* name;
  const char* advice;
};

/// Adapters, some of which hold a whole model, low-rank factors, or what looks like a UNet.
constexpr Mark kAdapters[] = {{"lllite_unet", "ControlNet-LLLite", kUseOther},
                              {"lora_controlnet", "control-LoRA", kUseOther},
                              {"control_model.", "ControlNet", kUseOther},
                              {"controlnet_cond_embedding.", "ControlNet", kUseOther},
                              {"controlnet_down_blocks.", "ControlNet", kUseOther},
                              {"input_hint_block.", "ControlNet", kUseOther},
                              {"ip_adapter.", "IP-Adapter", kUseOther},
                              {"adapter.body.", "T2I-Adapter", kUseOther},
                              {"motion_modules.", "AnimateDiff motion module", kUseOther}};

constexpr Mark kLora[] = {{".lora_down.", "LoRA", kUseLora}, {".lora_up.", "LoRA", kUseLora},
                          {".lora_A.", "LoRA", kUseLora},    {".lora_B.", "LoRA", kUseLora},
                          {".lora.down.", "LoRA", kUseLora}, {"_lora.down.", "LoRA", kUseLora},
                          {".hada_w1_a", "LoRA", kUseLora},  {".lokr_w1", "LoRA", kUseLora},
                          {"lora_unet_", "LoRA", kUseLora}};

constexpr Mark kOtherModels[] = {
    {"time_mixer", "Stable Video Diffusion", kUseOther},
    {"joint_blocks.", "Stable Diffusion 3", kUseOther},
    {"double_blocks.", "Flux", kUseOther},
    {"single_transformer_blocks.", "Flux", kUseOther},
    {"double_layers.", "AuraFlow", kUseOther},
    {"joint_transformer_blocks.", "AuraFlow", kUseOther},
    {"clip_txt_mapper.", "Stable Cascade", kUseOther},
    {"clip_txt_pooled_mapper.", "Stable Cascade", kUseOther},
    {"adaln_single.", "PixArt", kUseOther},
    {"t_block.1.", "PixArt", kUseOther},
    {"mlp_t5.", "HunyuanDiT", kUseOther},
    {"cap_embedder.", "Lumina", kUseOther},
    {"head.modulation", "Wan video model", kUseOther},
    {"add_k_proj.", "Stable Diffusion 3", kUseOther},
    {"encoder_hid_proj.", "UNet with its own text projection (Kolors or similar)", kUseOther},
    {"time_embedding.cond_proj.", "LCM UNet with a guidance embedding", kUseOther}};

/// The end of its name in every layout of CLIP.
constexpr const char* kTokenEmbedding = "token_embedding.weight";

constexpr Mark kParts[] = {{"emb_params", "textual inversion embedding", kUseOther},
                           {"string_to_param", "textual inversion embedding", kUseOther},
                           {"encoder.layers.0.weight", "tiny VAE (TAESD)", kUseVae},
                           {"decoder.layers.0.weight", "tiny VAE (TAESD)", kUseVae},
                           {"decoder.conv_in.", "VAE without a UNet", kUseVae},
                           {"encoder.conv_in.", "VAE without a UNet", kUseVae},
                           {"SelfAttention.q.", "T5 text encoder", kUseOther},
                           {"query_key_value.", "ChatGLM language model", kUseOther},
                           {"attention.self.query.", "BERT text encoder", kUseOther},
                           {"mlp.gate_proj.", "language model", kUseOther},
                           {kTokenEmbedding, "CLIP text encoder", kUseText},
                           {"vision_model.", "CLIP image encoder", kUseOther},
                           {"visual.", "CLIP image encoder", kUseOther},
                           {"self_attn.q_proj.", "text encoder without a UNet", kUseOther},
                           {"attn.in_proj_weight", "text encoder without a UNet", kUseOther},
                           {"3.conv.0.weight", "tiny VAE (TAESD)", kUseVae}};

template <size_t N>
const Mark* find_mark(const Mark (&marks)[N], const NamedShapes& file) {
  for (const Mark& mark : marks)
    for (const auto& [name, shape] : file)
      if (name.find(mark.piece) != std::string::npos) return &mark;
  return nullptr;
}

Recognition refused(const std::string& name, const std::string& advice = kUseOther) {
  return {std::nullopt, name, advice};
}

Recognition accepted(Family family) { return {family, to_string(family), ""}; }

/// The length of dimension `dim` of a weight; 0 when there is none.
int64_t length(const NamedShapes& shapes, const std::string& name, size_t dim) {
  const auto found = shapes.find(name);
  return found == shapes.end() || found->second.size() <= dim ? 0 : found->second[dim];
}

bool has_suffix_key(const NamedShapes& file, const std::string& suffix) {
  return std::any_of(file.begin(), file.end(),
                     [&](const auto& item) { return item.first.ends_with(suffix); });
}

/// Inpainting and editing models take more latents at the input than they give.
std::optional<Recognition> extra_inputs(const UNetFacts& unet, const NamedShapes& file) {
  const std::string base = unet.added_width > 0 ? "SDXL" : "SD 1.5 or 2";
  const int64_t more = unet.in_channels - unet.out_channels;
  if (more == 0) return std::nullopt;
  const std::string count = fmt::format(" ({} input channels)", unet.in_channels);
  if (more == unet.out_channels + 1) return refused(base + " inpainting model" + count);
  if (more != unet.out_channels) return refused("UNet for other inputs" + count);
  if (has_suffix_key(file, "edm_vpred.sigma_max")) return refused("CosXL-edit" + count);
  return refused(base + " InstructPix2Pix or CosXL-edit model" + count);
}

/// The refiner's only text encoder is bigG, whose width is then the width of the context.
bool is_refiner(const UNetFacts& unet, const NamedShapes& file) {
  if (has_prefix(file, "conditioner.embedders.0.model.")) return true;
  return unet.added_width == 2560 && unet.cross_width == 1280 && unet.channels.at(0) == 384;
}

/// KOALA: SDXL's widths with one resnet per level. Small models of SDXL's layout may have one as
/// well, so the published widths are asked for.
bool is_koala(const UNetFacts& unet) {
  const auto is_single = [](const auto& depth) { return depth.size() == 1; };
  return unet.channels == std::vector<int64_t>{320, 640, 1280} &&
         std::all_of(unet.down_depth.begin(), unet.down_depth.end(), is_single);
}

Recognition recognise_sdxl(const UNetFacts& unet, const NamedShapes& file) {
  if (is_refiner(unet, file)) return refused("SDXL refiner");
  if (is_koala(unet)) return refused("KOALA");
  if (unet.cross_width == 1024 && unet.channels == std::vector<int64_t>{320, 640, 1280, 1280})
    return refused("Stable Diffusion 2 unCLIP");
  if (unet.mid_depth > 0) return accepted(Family::kSdxl);
  // SSD-1B and Vega have no transformer in the middle; only SSD-1B's up levels have unequal depths.
  const auto is_uneven = [](const std::vector<int64_t>& depth) {
    return std::adjacent_find(depth.begin(), depth.end(), std::not_equal_to<>()) != depth.end();
  };
  const bool is_ssd = std::any_of(unet.up_depth.begin(), unet.up_depth.end(), is_uneven);
  return accepted(is_ssd ? Family::kSsd1b : Family::kVega);
}

Recognition recognise_unet(const UNetFacts& unet, const NamedShapes& file) {
  if (unet.up_depth.empty() || unet.channels.empty() || unet.out_channels == 0)
    return refused("part of a UNet", "give the whole file, with all of its shards");
  if (has_suffix_key(file, "edm_mean") || has_suffix_key(file, "edm_std"))
    return refused("Playground v2.5");
  if (const auto other = extra_inputs(unet, file)) return *other;
  if (has_suffix_key(file, "edm_vpred.sigma_max"))
    return refused("CosXL (continuous EDM v-prediction)");
  if (unet.cross_width == 0) return refused("UNet without text conditioning");
  if (unet.added_width > 0) return recognise_sdxl(unet, file);
  // SD 1.x projects with 1x1 convolutions; 768 is its context where they were saved as Linear.
  if (!unet.has_linear_projection || unet.cross_width == 768) return accepted(Family::kSd15);
  return refused("Stable Diffusion 2");
}

/// The verdict itself, or on a UNet that would be sampled but lacks weights, which.
Recognition unless_incomplete(Recognition verdict, const NamedShapes& unet) {
  const std::vector<std::string> missing =
      verdict.family ? missing_weights(Component::kUnet, unet) : std::vector<std::string>();
  if (missing.empty()) return verdict;
  return refused(fmt::format("an incomplete {} UNet ({} weights are missing: {})", verdict.name,
                             missing.size(), join_first(missing)),
                 "download the file again, with all of its shards");
}

/// The width of the context from the first cross attention; notes the kind of projection beside it.
void add_attention_facts(const NamedShapes& unet, UNetFacts& facts) {
  const std::string sign = ".transformer_blocks.0.attn2.to_k.weight";
  for (const auto& [name, shape] : unet) {
    if (!name.ends_with(sign) || shape.size() != 2) continue;
    facts.cross_width = shape[1];
    const auto proj_in = unet.find(name.substr(0, name.size() - sign.size()) + ".proj_in.weight");
    facts.has_linear_projection = proj_in != unet.end() && proj_in->second.size() == 2;
    return;
  }
}

}  // namespace

const char* to_string(Family family) {
  switch (family) {
    case Family::kSdxl:
      return "SDXL";
    case Family::kSsd1b:
      return "SSD-1B";
    case Family::kVega:
      return "Segmind-Vega";
    default:
      return "SD 1.5";
  }
}

const char* to_string(Component component) {
  switch (component) {
    case Component::kUnet:
      return "unet";
    case Component::kVae:
      return "vae";
    case Component::kTextEncoder:
      return "text_encoder";
    default:
      return "text_encoder_2";
  }
}

const char* to_string(Prediction prediction) {
  return prediction == Prediction::kV ? "v_prediction" : "epsilon";
}

const std::vector<Component>& all_components() {
  static const std::vector<Component> components = {
      Component::kUnet, Component::kVae, Component::kTextEncoder, Component::kTextEncoder2};
  return components;
}

std::vector<Component> components_of(Family family) {
  std::vector<Component> components = all_components();
  if (family == Family::kSd15) components.pop_back();
  return components;
}

UNetFacts unet_facts(const NamedShapes& unet) {
  UNetFacts facts;
  facts.in_channels = length(unet, "conv_in.weight", 1);
  facts.out_channels = length(unet, "conv_out.weight", 0);
  facts.time_width = length(unet, "time_embedding.linear_2.weight", 0);
  facts.added_width = length(unet, "add_embedding.linear_1.weight", 1);
  const UNetLayout layout = unet_layout_from_diffusers(unet);
  for (size_t level = 0; level < layout.down.size(); ++level) {
    facts.down_depth.push_back(layout.down[level].depth);
    facts.channels.push_back(
        length(unet, fmt::format("down_blocks.{}.resnets.0.conv1.weight", level), 0));
  }
  for (const auto& level : layout.up) facts.up_depth.push_back(level.depth);
  for (const int64_t depth : layout.mid)
    (depth < 0 ? facts.mid_resnets : facts.mid_depth) += std::abs(depth);
  add_attention_facts(unet, facts);
  return facts;
}

bool is_unknown(const Recognition& recognition) {
  return !recognition.family && recognition.name == kUnknown;
}

Recognition recognise(const NamedShapes& file, const NamedShapes& unet) {
  const UNetFacts facts = unet_facts(unet);
  const bool has_unet = facts.in_channels > 0;
  const Mark* mark = find_mark(kAdapters, file);
  if (!mark && !has_unet) mark = find_mark(kLora, file);
  if (!mark) mark = find_mark(kOtherModels, file);
  if (!mark && has_unet) return unless_incomplete(recognise_unet(facts, file), unet);
  if (!mark) mark = find_mark(kParts, file);
  if (!mark) return refused(kUnknown);
  if (mark->piece != std::string_view(kTokenEmbedding)) return refused(mark->name, mark->advice);
  return refused(text_encoder_name(text_encoder_width(file)) + " without a UNet", mark->advice);
}

}  // namespace fourstep
