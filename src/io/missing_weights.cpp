#include "io/missing_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "io/module_names.h"

namespace fourstep {
namespace {

using fmt::format;

/// One more than the largest n of the names "<stem><n>.": a gap does not end it.
int64_t end_of_numbers(const NamedShapes& shapes, const std::string& stem) {
  int64_t end = 0;
  for (auto it = shapes.lower_bound(stem); it != shapes.end() && it->first.starts_with(stem);
       ++it) {
    int64_t number = 0;
    const char* first = it->first.data() + stem.size();
    const auto [rest, error] = std::from_chars(first, it->first.data() + it->first.size(), number);
    if (error == std::errc() && rest != first && *rest == '.') end = std::max(end, number + 1);
  }
  // Nobody has so many blocks; a hostile name must not make a list of a billion.
  constexpr int64_t kMost = 1000;
  return std::min(end, kMost);
}

/// Collects what is not there.
class Gaps {
 public:
  explicit Gaps(const NamedShapes& shapes) : shapes_(shapes) {}

  std::vector<std::string> names;

  bool has(const std::string& prefix) const { return has_prefix(shapes_, prefix); }
  int64_t end(const std::string& stem) const { return end_of_numbers(shapes_, stem); }

  void weight(const std::string& name) {
    if (!shapes_.count(name)) names.push_back(name);
  }
  /// Weights and biases of layers below `prefix`.
  void pairs(const std::string& prefix, std::initializer_list<const char*> layers) {
    for (const char* layer : layers) {
      weight(prefix + layer + ".weight");
      weight(prefix + layer + ".bias");
    }
  }

  void resnet(const std::string& name, bool with_time) {
    pairs(name, {".norm1", ".conv1"});
    if (with_time) pairs(name, {".time_emb_proj"});
    pairs(name, {".norm2", ".conv2"});
    const auto conv = shapes_.find(name + ".conv1.weight");
    const bool changes_width =
        conv != shapes_.end() && conv->second.size() == 4 && conv->second[0] != conv->second[1];
    if (changes_width || has(name + ".conv_shortcut.")) pairs(name, {".conv_shortcut"});
  }

  void transformer(const std::string& name) {
    pairs(name, {".norm", ".proj_in"});
    const std::string blocks = name + ".transformer_blocks.";
    for (int64_t i = 0; i < std::max<int64_t>(end(blocks), 1); ++i) {
      const std::string block = format("{}{}", blocks, i);
      for (const std::string attention : {".attn1", ".attn2"}) {
        for (const char* part : {".to_q", ".to_k", ".to_v"})
          weight(block + attention + part + ".weight");
        pairs(block + attention, {".to_out.0"});
      }
      pairs(block, {".norm1", ".norm2", ".norm3", ".ff.net.0.proj", ".ff.net.2"});
    }
    pairs(name, {".proj_out"});
  }

 private:
  const NamedShapes& shapes_;
};

/// Both halves of a UNet, level by level from the full resolution; each half shows what the other should have.
struct UNetPlan {
  int64_t levels = 0;
  std::vector<int64_t> resnets;  ///< per level of the way down; the way up has one more
  std::vector<bool> has_attention;
};

UNetPlan unet_plan(const Gaps& unet) {
  UNetPlan plan;
  plan.levels = std::max(unet.end("down_blocks."), unet.end("up_blocks."));
  for (int64_t level = 0; level < plan.levels; ++level) {
    const std::string down = format("down_blocks.{}.", level);
    const std::string up = format("up_blocks.{}.", plan.levels - 1 - level);
    plan.resnets.push_back(std::max(unet.end(down + "resnets."), unet.end(up + "resnets.") - 1));
    plan.has_attention.push_back(unet.has(down + "attentions.") || unet.has(up + "attentions."));
  }
  const auto most = std::max_element(plan.resnets.begin(), plan.resnets.end());
  for (int64_t& count : plan.resnets)
    if (count <= 0) count = std::max<int64_t>(*most, 1);
  return plan;
}

void unet_block(Gaps& unet, const std::string& block, int64_t resnets, bool has_attention) {
  for (int64_t i = 0; i < resnets; ++i) {
    unet.resnet(format("{}.resnets.{}", block, i), /*with_time=*/true);
    if (has_attention) unet.transformer(format("{}.attentions.{}", block, i));
  }
}

void unet_gaps(Gaps& unet) {
  const UNetPlan plan = unet_plan(unet);
  unet.pairs("", {"conv_in", "time_embedding.linear_1", "time_embedding.linear_2"});
  if (unet.has("add_embedding."))
    unet.pairs("", {"add_embedding.linear_1", "add_embedding.linear_2"});
  for (int64_t level = 0; level < plan.levels; ++level) {
    const std::string block = format("down_blocks.{}", level);
    unet_block(unet, block, plan.resnets[level], plan.has_attention[level]);
    if (level + 1 < plan.levels) unet.pairs(block, {".downsamplers.0.conv"});
  }
  const bool has_attention = unet.has("mid_block.attentions.") || unet.has("mid_block.resnets.1.");
  unet.resnet("mid_block.resnets.0", /*with_time=*/true);
  if (has_attention) {
    unet.transformer("mid_block.attentions.0");
    unet.resnet("mid_block.resnets.1", /*with_time=*/true);
  }
  for (int64_t step = 0; step < plan.levels; ++step) {
    const std::string block = format("up_blocks.{}", step);
    const int64_t level = plan.levels - 1 - step;
    unet_block(unet, block, plan.resnets[level] + 1, plan.has_attention[level]);
    if (level > 0) unet.pairs(block, {".upsamplers.0.conv"});
  }
  unet.pairs("", {"conv_norm_out", "conv_out"});
}

/// half: "encoder." or "decoder.".
void vae_half_gaps(Gaps& vae, const std::string& half, const std::string& blocks,
                   const std::string& sampler) {
  const int64_t levels = vae.end(half + blocks);
  vae.pairs(half, {"conv_in", "conv_norm_out", "conv_out"});
  for (int i = 0; i < 2; ++i)
    vae.resnet(format("{}mid_block.resnets.{}", half, i), /*with_time=*/false);
  vae.pairs(half + "mid_block.attentions.0.", {"group_norm", "to_q", "to_k", "to_v", "to_out.0"});
  int64_t resnets = 1;
  for (int64_t level = 0; level < levels; ++level)
    resnets = std::max(resnets, vae.end(format("{}{}{}.resnets.", half, blocks, level)));
  for (int64_t level = 0; level < std::max<int64_t>(levels, 1); ++level) {
    const std::string block = format("{}{}{}", half, blocks, level);
    for (int64_t i = 0; i < resnets; ++i)
      vae.resnet(format("{}.resnets.{}", block, i), /*with_time=*/false);
    if (level + 1 < levels) vae.pairs(block, {("." + sampler + ".0.conv").c_str()});
  }
}

void vae_gaps(Gaps& vae) {
  if (vae.has("encoder.")) {
    vae_half_gaps(vae, "encoder.", "down_blocks.", "downsamplers");
    if (vae.has("post_quant_conv.")) vae.pairs("", {"quant_conv"});
  }
  if (vae.has("quant_conv.") && vae.has("encoder.")) vae.pairs("", {"post_quant_conv"});
  vae_half_gaps(vae, "decoder.", "up_blocks.", "upsamplers");
}

/// Of CLIP ViT-L/14 and OpenCLIP ViT-bigG/14; 0 for other widths.
int64_t published_layers(int64_t width) { return width == 768 ? 12 : width == 1280 ? 32 : 0; }

void text_gaps(Gaps& text, const NamedShapes& shapes, bool is_second) {
  const std::string embedding = "text_model.embeddings.token_embedding.weight";
  const auto found = shapes.find(embedding);
  const int64_t width = found != shapes.end() && found->second.size() == 2 ? found->second[1] : 0;
  const std::string layers = "text_model.encoder.layers.";
  const int64_t count = std::max({text.end(layers), published_layers(width), int64_t{1}});
  text.weight(embedding);
  text.weight("text_model.embeddings.position_embedding.weight");
  for (int64_t i = 0; i < count; ++i) {
    text.pairs(format("{}{}.", layers, i),
               {"layer_norm1", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                "self_attn.out_proj", "layer_norm2", "mlp.fc1", "mlp.fc2"});
  }
  text.pairs("text_model.", {"final_layer_norm"});
  if (is_second) text.weight("text_projection.weight");
}

}  // namespace

std::vector<std::string> missing_weights(Component component, const NamedShapes& shapes) {
  Gaps gaps(shapes);
  if (component == Component::kUnet)
    unet_gaps(gaps);
  else if (component == Component::kVae)
    vae_gaps(gaps);
  else
    text_gaps(gaps, shapes, component == Component::kTextEncoder2);
  return std::move(gaps.names);
}

bool is_decoder_only(const NamedShapes& vae) { return !has_prefix(vae, "encoder."); }

}  // namespace fourstep
