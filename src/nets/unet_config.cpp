#include "nets/unet_config.h"

#include "base/error.h"
#include "nets/shape_reader.h"
#include "nets/unet.h"

namespace fourstep {

namespace {

/// Transformer blocks after each resnet of one block of the down or up path.
std::vector<int64_t> read_depths(const ShapeReader& reader, const std::string& block) {
  std::vector<int64_t> depths(reader.count(block + ".resnets.", ".conv1.weight"));
  for (size_t i = 0; i < depths.size(); ++i) {
    depths[i] = reader.count(fmt::format("{}.attentions.{}.transformer_blocks.", block, i),
                             ".attn1.to_q.weight");
  }
  return depths;
}

std::vector<UNetLevel> read_levels(const ShapeReader& reader) {
  const int64_t num_levels = reader.count("down_blocks.", ".resnets.0.conv1.weight");
  std::vector<UNetLevel> levels(num_levels);
  for (int64_t i = 0; i < num_levels; ++i) {
    const std::string block = fmt::format("down_blocks.{}", i);
    levels[i].channels = reader.norm_width(block + ".resnets.0.conv1.weight", 0, 4);
    levels[i].down_depth = read_depths(reader, block);
    levels[i].up_depth = read_depths(reader, fmt::format("up_blocks.{}", num_levels - 1 - i));
    if (levels[i].up_depth.size() != levels[i].down_depth.size() + 1) {
      throw Error("{}: up_blocks.{} has {} resnets, expected {}: one more than down_blocks.{}",
                  reader.what(), num_levels - 1 - i, levels[i].up_depth.size(),
                  levels[i].down_depth.size() + 1, i);
    }
  }
  return levels;
}

bool has_attention(const UNetConfig& config, size_t level) {
  const auto is_deep = [](int64_t depth) { return depth > 0; };
  const UNetLevel& l = config.levels[level];
  return std::ranges::any_of(l.down_depth, is_deep) || std::ranges::any_of(l.up_depth, is_deep) ||
         (level + 1 == config.levels.size() && config.mid_depth > 0);
}

/// The number of heads leaves no trace in the shapes: see unet_config_from_shapes(). 0: no rule
/// fits.
int64_t heads_by_layout(const UNetConfig& config, int64_t channels) {
  const bool is_sd1 = config.added_width == 0;  // SD 2, which has neither, is refused before
  if (is_sd1) return 8;
  if (channels < 64) return 1;
  return channels % 64 == 0 ? channels / 64 : 0;
}

void set_heads(UNetConfig& config, const std::vector<int64_t>& heads, const std::string& what) {
  const size_t num_levels = config.levels.size();
  if (heads.size() > 1 && heads.size() != num_levels) {
    throw Error("{}: head numbers for {} levels, expected {}", what, heads.size(), num_levels);
  }
  for (size_t i = 0; i < num_levels; ++i) {
    UNetLevel& level = config.levels[i];
    level.heads =
        heads.empty() ? heads_by_layout(config, level.channels) : heads[heads.size() == 1 ? 0 : i];
    const bool fits = level.heads > 0 && level.channels % level.heads == 0;
    if (has_attention(config, i) && !fits) {
      throw Error(
          "{}: down_blocks.{} has width {}, which {} attention heads do not divide, expected a "
          "multiple "
          "of 64 or a config that names the heads",
          what, i, level.channels, level.heads);
    }
  }
}

/// "down_blocks.1.attentions.0", the first spatial transformer; empty when there is none.
std::string first_transformer(const UNetConfig& config) {
  const size_t num_levels = config.levels.size();
  const auto search = [](const std::vector<int64_t>& depths, const std::string& block) {
    for (size_t i = 0; i < depths.size(); ++i) {
      if (depths[i] > 0) return fmt::format("{}.attentions.{}", block, i);
    }
    return std::string();
  };
  for (size_t i = 0; i < num_levels; ++i) {
    const std::string name = search(config.levels[i].down_depth, fmt::format("down_blocks.{}", i));
    if (!name.empty()) return name;
  }
  if (config.mid_depth > 0) return "mid_block.attentions.0";
  for (size_t i = num_levels; i-- > 0;) {
    const std::string name =
        search(config.levels[i].up_depth, fmt::format("up_blocks.{}", num_levels - 1 - i));
    if (!name.empty()) return name;
  }
  return {};
}

}  // namespace

UNetConfig unet_config_from_shapes(const NamedShapes& shapes, const std::vector<int64_t>& heads,
                                   const std::string& what) {
  const ShapeReader reader(shapes, what);
  UNetConfig config;
  config.in_channels = reader.dim("conv_in.weight", 1, 4);
  config.out_channels = reader.dim("conv_out.weight", 0, 4);
  config.time_width = reader.dim("time_embedding.linear_1.weight", 0, 2);
  const std::string added = "add_embedding.linear_1.weight";
  config.added_width = reader.has(added) ? reader.dim(added, 1, 2) : 0;
  config.levels = read_levels(reader);
  if (config.levels.empty()) {
    throw Error("{}: weight \"down_blocks.0.resnets.0.conv1.weight\" is missing; is it a UNet?",
                what);
  }
  config.has_mid_block = reader.has("mid_block.resnets.0.conv1.weight");
  config.mid_depth =
      reader.count("mid_block.attentions.0.transformer_blocks.", ".attn1.to_q.weight");
  const std::string transformer = first_transformer(config);
  if (!transformer.empty()) {
    config.cross_width = reader.dim(transformer + ".transformer_blocks.0.attn2.to_k.weight", 1, 2);
    const auto proj_in = shapes.find(transformer + ".proj_in.weight");
    config.has_linear_projection = proj_in != shapes.end() && proj_in->second.size() == 2;
  }
  set_heads(config, heads, what);
  reader.check_layout(*UNet(config));
  return config;
}

}  // namespace fourstep
