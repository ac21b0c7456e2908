#include "io/module_names.h"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

namespace fourstep {

namespace {

using fmt::format;

/// Parts of a UNet resnet: ldm, diffusers.
constexpr std::pair<const char*, const char*> kResnetParts[] = {
    {"in_layers.0", "norm1"},  {"in_layers.2", "conv1"},  {"emb_layers.1", "time_emb_proj"},
    {"out_layers.0", "norm2"}, {"out_layers.3", "conv2"}, {"skip_connection", "conv_shortcut"}};

void add_resnet(ModuleNames& names, const std::string& ldm, const std::string& diffusers) {
  for (const auto& [from, to] : kResnetParts) names[ldm + "." + from] = diffusers + "." + to;
}

/// A transformer's depth, or 0 when there is none at `prefix`.
int64_t transformer_depth(const NamedShapes& shapes, const std::string& prefix) {
  return count_numbered(shapes, prefix + ".transformer_blocks.");
}

void add_down(ModuleNames& names, const UNetLayout& layout) {
  int64_t block = 1;  // input_blocks.0 is conv_in
  for (size_t level = 0; level < layout.down.size(); ++level) {
    const auto& [depth, is_resampled] = layout.down[level];
    for (size_t i = 0; i < depth.size(); ++i, ++block) {
      add_resnet(names, format("input_blocks.{}.0", block),
                 format("down_blocks.{}.resnets.{}", level, i));
      if (depth[i] > 0)
        names[format("input_blocks.{}.1", block)] =
            format("down_blocks.{}.attentions.{}", level, i);
    }
    if (is_resampled)
      names[format("input_blocks.{}.0.op", block++)] =
          format("down_blocks.{}.downsamplers.0.conv", level);
  }
}

void add_mid(ModuleNames& names, const UNetLayout& layout) {
  int64_t resnets = 0, attentions = 0;
  for (size_t i = 0; i < layout.mid.size(); ++i) {
    const std::string ldm = format("middle_block.{}", i);
    if (layout.mid[i] < 0)
      add_resnet(names, ldm, format("mid_block.resnets.{}", resnets++));
    else
      names[ldm] = format("mid_block.attentions.{}", attentions++);
  }
}

void add_up(ModuleNames& names, const UNetLayout& layout) {
  int64_t block = 0;
  for (size_t level = 0; level < layout.up.size(); ++level) {
    const auto& [depth, is_resampled] = layout.up[level];
    for (size_t i = 0; i < depth.size(); ++i, ++block) {
      add_resnet(names, format("output_blocks.{}.0", block),
                 format("up_blocks.{}.resnets.{}", level, i));
      if (depth[i] > 0)
        names[format("output_blocks.{}.1", block)] = format("up_blocks.{}.attentions.{}", level, i);
    }
    if (!is_resampled || depth.empty()) continue;
    // The upsampler is the last module of the level's last block, after its transformer if it has
    // one.
    names[format("output_blocks.{}.{}", block - 1, depth.back() > 0 ? 2 : 1)] =
        format("up_blocks.{}.upsamplers.0", level);
  }
}

std::vector<UNetLayout::Level> levels_from_diffusers(const NamedShapes& unet,
                                                     const std::string& stem,
                                                     const std::string& resampler) {
  std::vector<UNetLayout::Level> levels(count_numbered(unet, stem));
  for (size_t level = 0; level < levels.size(); ++level) {
    const std::string block = format("{}{}.", stem, level);
    const int64_t resnets = count_numbered(unet, block + "resnets.");
    for (int64_t i = 0; i < resnets; ++i)
      levels[level].depth.push_back(transformer_depth(unet, format("{}attentions.{}", block, i)));
    levels[level].is_resampled = has_prefix(unet, block + resampler + ".0.");
  }
  return levels;
}

void add_vae_resnet(ModuleNames& names, const std::string& ldm, const std::string& diffusers) {
  names[ldm] = diffusers;
  names[ldm + ".nin_shortcut"] = diffusers + ".conv_shortcut";
}

/// The middle and the ends of one half.
void add_vae_ends(ModuleNames& names, const std::string& half) {
  for (const char* same : {"conv_in", "conv_out"}) names[half + same] = half + same;
  names[half + "norm_out"] = half + "conv_norm_out";
  add_vae_resnet(names, half + "mid.block_1", half + "mid_block.resnets.0");
  add_vae_resnet(names, half + "mid.block_2", half + "mid_block.resnets.1");
  constexpr std::pair<const char*, const char*> kAttention[] = {{"norm", "group_norm"},
                                                                {"q", "to_q"},
                                                                {"k", "to_k"},
                                                                {"v", "to_v"},
                                                                {"proj_out", "to_out.0"}};
  for (const auto& [from, to] : kAttention)
    names[half + "mid.attn_1." + from] = half + "mid_block.attentions.0." + to;
}

/// A level's name prefix and the name of its resampler, in one layout.
struct VaeLevelNames {
  std::string prefix, resampler;
};

void add_vae_level(ModuleNames& names, const VaeLevelNames& ldm, const VaeLevelNames& diffusers,
                   int64_t resnets) {
  for (int64_t i = 0; i < resnets; ++i)
    add_vae_resnet(names, format("{}block.{}", ldm.prefix, i),
                   format("{}resnets.{}", diffusers.prefix, i));
  names[ldm.prefix + ldm.resampler + ".conv"] = diffusers.prefix + diffusers.resampler + ".conv";
}

/// Resnets per level of a VAE half, in the order of the names.
std::vector<int64_t> vae_levels(const NamedShapes& vae, const std::string& stem,
                                const std::string& resnet) {
  std::vector<int64_t> resnets(count_numbered(vae, stem));
  for (size_t i = 0; i < resnets.size(); ++i)
    resnets[i] = count_numbered(vae, format("{}{}.{}.", stem, i, resnet));
  return resnets;
}

}  // namespace

ModuleNames inverted(const ModuleNames& names) {
  ModuleNames result;
  for (const auto& [from, to] : names) result[to] = from;
  return result;
}

std::optional<std::string> renamed(const ModuleNames& names, const std::string& name) {
  for (size_t end = name.size(); end != std::string::npos && end > 0;
       end = name.rfind('.', end - 1))
    if (const auto found = names.find(name.substr(0, end)); found != names.end())
      return found->second + name.substr(end);
  return std::nullopt;
}

bool has_prefix(const NamedShapes& shapes, const std::string& prefix) {
  const auto first = shapes.lower_bound(prefix);
  return first != shapes.end() && first->first.starts_with(prefix);
}

int64_t count_numbered(const NamedShapes& shapes, const std::string& stem) {
  int64_t count = 0;
  while (has_prefix(shapes, format("{}{}.", stem, count))) ++count;
  return count;
}

UNetLayout unet_layout_from_ldm(const NamedShapes& unet) {
  UNetLayout layout;
  layout.down.emplace_back();
  const int64_t inputs = count_numbered(unet, "input_blocks.");
  for (int64_t i = 1; i < inputs; ++i) {
    if (has_prefix(unet, format("input_blocks.{}.0.op.", i))) {
      layout.down.back().is_resampled = true;
      layout.down.emplace_back();
    } else {
      layout.down.back().depth.push_back(transformer_depth(unet, format("input_blocks.{}.1", i)));
    }
  }
  const int64_t middles = count_numbered(unet, "middle_block.");
  for (int64_t i = 0; i < middles; ++i) {
    const int64_t depth = transformer_depth(unet, format("middle_block.{}", i));
    layout.mid.push_back(depth > 0 ? depth : -1);
  }
  layout.up.emplace_back();
  const int64_t outputs = count_numbered(unet, "output_blocks.");
  for (int64_t i = 0; i < outputs; ++i) {
    layout.up.back().depth.push_back(transformer_depth(unet, format("output_blocks.{}.1", i)));
    const bool is_last = has_prefix(unet, format("output_blocks.{}.1.conv.", i)) ||
                         has_prefix(unet, format("output_blocks.{}.2.conv.", i));
    if (!is_last) continue;
    layout.up.back().is_resampled = true;
    layout.up.emplace_back();
  }
  return layout;
}

UNetLayout unet_layout_from_diffusers(const NamedShapes& unet) {
  UNetLayout layout;
  layout.down = levels_from_diffusers(unet, "down_blocks.", "downsamplers");
  layout.up = levels_from_diffusers(unet, "up_blocks.", "upsamplers");
  const int64_t resnets = count_numbered(unet, "mid_block.resnets.");
  for (int64_t i = 0; i < resnets; ++i) {
    layout.mid.push_back(-1);
    const int64_t depth = transformer_depth(unet, format("mid_block.attentions.{}", i));
    if (depth > 0) layout.mid.push_back(depth);
  }
  return layout;
}

ModuleNames unet_modules(const UNetLayout& layout) {
  ModuleNames names = {{"time_embed.0", "time_embedding.linear_1"},
                       {"time_embed.2", "time_embedding.linear_2"},
                       {"label_emb.0.0", "add_embedding.linear_1"},
                       {"label_emb.0.2", "add_embedding.linear_2"},
                       {"input_blocks.0.0", "conv_in"},
                       {"out.0", "conv_norm_out"},
                       {"out.2", "conv_out"}};
  add_down(names, layout);
  add_mid(names, layout);
  add_up(names, layout);
  return names;
}

VaeLayout vae_layout_from_ldm(const NamedShapes& vae) {
  return {vae_levels(vae, "encoder.down.", "block"), vae_levels(vae, "decoder.up.", "block")};
}

VaeLayout vae_layout_from_diffusers(const NamedShapes& vae) {
  VaeLayout layout = {vae_levels(vae, "encoder.down_blocks.", "resnets"),
                      vae_levels(vae, "decoder.up_blocks.", "resnets")};
  std::reverse(layout.decoder.begin(), layout.decoder.end());
  return layout;
}

ModuleNames vae_modules(const VaeLayout& layout) {
  ModuleNames names = {{"quant_conv", "quant_conv"}, {"post_quant_conv", "post_quant_conv"}};
  add_vae_ends(names, "encoder.");
  add_vae_ends(names, "decoder.");
  for (size_t level = 0; level < layout.encoder.size(); ++level)
    add_vae_level(names, {format("encoder.down.{}.", level), "downsample"},
                  {format("encoder.down_blocks.{}.", level), "downsamplers.0"},
                  layout.encoder[level]);
  const size_t levels = layout.decoder.size();
  // ldm numbers the decoder's levels by resolution, diffusers in execution order.
  for (size_t level = 0; level < levels; ++level)
    add_vae_level(names, {format("decoder.up.{}.", level), "upsample"},
                  {format("decoder.up_blocks.{}.", levels - 1 - level), "upsamplers.0"},
                  layout.decoder[level]);
  return names;
}

ModuleNames open_clip_modules(int64_t layers) {
  ModuleNames names = {{"token_embedding", "text_model.embeddings.token_embedding"},
                       {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
                       {"ln_final", "text_model.final_layer_norm"}};
  constexpr std::pair<const char*, const char*> kLayerParts[] = {
      {"ln_1", "layer_norm1"},
      {"ln_2", "layer_norm2"},
      {"mlp.c_fc", "mlp.fc1"},
      {"mlp.c_proj", "mlp.fc2"},
      {"attn.out_proj", "self_attn.out_proj"}};
  for (int64_t k = 0; k < layers; ++k)
    for (const auto& [from, to] : kLayerParts)
      names[format("transformer.resblocks.{}.{}", k, from)] =
          format("text_model.encoder.layers.{}.{}", k, to);
  return names;
}

namespace {

constexpr const char* kFirstWeight = "decoder.layers.0.weight";

/// The entries of one chain: what stands before the number in TAESD's and in diffusers' names, and
/// the number of diffusers' entry 0.
struct Chain {
  std::string_view native;
  const char* diffusers;
  int64_t first;
};

constexpr Chain kBareDecoder{"", "decoder", 1};
constexpr Chain kPrefixed[] = {{"taesd_encoder.", "encoder", 0}, {"taesd_decoder.", "decoder", 1}};

/// "3.conv.0.weight" -> "decoder.layers.2.conv.0.weight"; nothing for names that are not of the
/// chain.
std::optional<std::string> renamed(const Chain& chain, std::string_view name) {
  if (!name.starts_with(chain.native)) return std::nullopt;
  name.remove_prefix(chain.native.size());
  int64_t number = -1;
  const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const std::string_view part = name.substr(static_cast<size_t>(rest - name.data()));
  if (error != std::errc() || number < chain.first || !part.starts_with('.')) return std::nullopt;
  return fmt::format("{}.layers.{}{}", chain.diffusers, number - chain.first, part);
}

void add_chain(const Chain& chain, const NamedTensors& file, NamedTensors& out) {
  for (const auto& [name, tensor] : file) {
    if (const auto target = renamed(chain, name)) out[*target] = tensor;
  }
}

}  // namespace

NamedTensors tiny_vae_tensors(const NamedTensors& file) {
  if (file.count(kFirstWeight)) return file;
  NamedTensors out;
  // An encoder alone has an entry 0, which cannot decode.
  const bool is_bare_decoder =
      file.count("1.weight") && file.count("3.conv.0.weight") && !file.count("0.weight");
  if (is_bare_decoder) add_chain(kBareDecoder, file, out);
  for (const Chain& chain : kPrefixed) add_chain(chain, file, out);
  return out.count(kFirstWeight) ? out : NamedTensors();
}

}  // namespace fourstep
