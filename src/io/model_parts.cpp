#include "io/model_parts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>

#include "base/error.h"
#include "base/text_tools.h"
#include "io/checkpoint.h"
#include "io/diffusers_folder.h"
#include "io/key_names.h"
#include "io/quantisation.h"

namespace fourstep {

namespace {

namespace fs = std::filesystem;

/// Where an encoder stands in a file.
struct EncoderPlace {
  int64_t width = 0;
  std::string prefix;

  auto operator<=>(const EncoderPlace&) const = default;
};

/// By their token embeddings, the narrowest first.
std::vector<EncoderPlace> places_of(const NamedShapes& file) {
  std::vector<EncoderPlace> places;
  for (const auto& [name, shape] : file) {
    // The first ending that fits is the longest.
    for (const std::string ending :
         {"text_model.embeddings.token_embedding.weight", "embeddings.token_embedding.weight",
          "token_embedding.weight"}) {
      if (!name.ends_with(ending) || shape.size() != 2) continue;
      places.push_back({shape[1], name.substr(0, name.size() - ending.size())});
      break;
    }
  }
  std::sort(places.begin(), places.end());
  return places;
}

fs::path encoder_folder(const fs::path& path, Component component) {
  const fs::path inner = path / to_string(component);
  return fs::is_directory(inner) ? inner : path;
}

std::optional<fs::path> tokenizer_beside(const fs::path& folder) {
  const fs::path full = fs::weakly_canonical(folder);
  for (const fs::path& tokenizer : {full, full.parent_path() / "tokenizer"})
    if (fs::exists(tokenizer / "merges.txt")) return tokenizer;
  return std::nullopt;
}

/// The text_* hints of `all` that are about `component`.
ArchitectureHints hints_about(Component component, const ArchitectureHints& all) {
  ArchitectureHints hints;
  if (component == Component::kTextEncoder) {
    hints.text_heads = all.text_heads;
    hints.text_activation = all.text_activation;
  } else {
    hints.text_heads_2 = all.text_heads_2;
    hints.text_activation_2 = all.text_activation_2;
  }
  return hints;
}

/// The tensors below a prefix, without it.
NamedTensors below(const NamedTensors& tensors, const std::string& prefix) {
  NamedTensors inner;
  for (auto it = tensors.lower_bound(prefix); it != tensors.end() && it->first.starts_with(prefix);
       ++it)
    inner[it->first.substr(prefix.size())] = it->second;
  return inner;
}

}  // namespace

int64_t text_encoder_width(const NamedShapes& file) {
  const std::vector<EncoderPlace> places = places_of(file);
  return places.empty() ? 0 : places.front().width;
}

std::string text_encoder_name(int64_t width) {
  const char* name = width == 768    ? "CLIP ViT-L/14"
                     : width == 1024 ? "OpenCLIP ViT-H/14"
                     : width == 1280 ? "OpenCLIP ViT-bigG/14"
                                     : nullptr;
  return name ? fmt::format("{} (width {})", name, width)
              : fmt::format("text encoder of width {}", width);
}

TextEncoderFile open_text_encoder(const fs::path& path, Component component) {
  const bool is_folder = fs::is_directory(path);
  const fs::path source = is_folder ? encoder_folder(path, component) : path;
  TensorFile file = is_folder ? read_network_folder(source) : open_weights(source);
  check_readable(file.unreadable);
  const std::vector<EncoderPlace> places = places_of(shapes_of(file.tensors));
  if (places.empty()) {
    throw Error("\"{}\": found {}, not a CLIP text encoder", path.string(),
                model_source_of(file).recognition.name);
  }
  const bool is_first = component == Component::kTextEncoder;
  file.tensors = below(file.tensors, (is_first ? places.front() : places.back()).prefix);
  std::vector<KeyRow> rows = component_key_table(component, shapes_of(file.tensors)).rows;
  check_readable(unreadable_rows(file, rows));
  std::map<Component, NamedTensors> parts;
  try {
    apply_rows(rows, file.tensors, parts);
  } catch (const Error& error) {
    throw Error("\"{}\": {}", path.string(), error.what());
  }
  TextEncoderFile encoder;
  encoder.weights = std::move(parts[component]);
  ArchitectureHints hints = hints_from_metadata(file.metadata);
  if (is_folder) {
    add_config_hints(component, source / "config.json", hints);
    encoder.tokenizer_folder = tokenizer_beside(source);
  }
  encoder.hints = hints_about(component, hints);
  encoder.merges_text = entry_of(file.metadata, "fourstep.merges");
  return encoder;
}

namespace {

namespace fs = std::filesystem;

const char* flag_of(Component component) {
  switch (component) {
    case Component::kUnet:
      return "--unet";
    case Component::kVae:
      return "--vae";
    case Component::kTextEncoder:
      return "--text-encoder";
    default:
      return "--text-encoder-2";
  }
}

void take_unet(const std::string& path, ModelParts& parts) {
  Checkpoint& checkpoint = parts.checkpoint;
  Checkpoint other = open_checkpoint(path);
  const bool fits = other.has(Component::kUnet) &&
                    components_of(other.family) == components_of(checkpoint.family);
  if (!fits) {
    throw Error("{}: this is {}, and {} is {}: UNet and checkpoint must be of one family", path,
                other.has(Component::kUnet) ? to_string(other.family) : "a file without UNet",
                checkpoint.path.string(), to_string(checkpoint.family));
  }
  checkpoint.components[Component::kUnet] = std::move(other.components[Component::kUnet]);
  checkpoint.hints.unet_heads = other.hints.unet_heads;
  checkpoint.prediction = other.prediction;
  checkpoint.zero_terminal_snr = other.zero_terminal_snr;
  checkpoint.family = other.family;
  parts.paths[Component::kUnet] = path;
  parts.unet_metadata = std::move(other.metadata);
}

void take_vae(const std::string& path, ModelParts& parts) {
  Checkpoint& checkpoint = parts.checkpoint;
  checkpoint.components[Component::kVae] = open_vae(path);
  const ArchitectureHints hints = open_vae_hints(path);
  checkpoint.hints.vae_scaling_factor = hints.vae_scaling_factor;
  checkpoint.hints.vae_force_upcast = hints.vae_force_upcast;
  parts.paths[Component::kVae] = path;
}

void take_text_encoder(Component component, const std::string& path, ModelParts& parts) {
  Checkpoint& checkpoint = parts.checkpoint;
  const bool is_first = component == Component::kTextEncoder;
  if (!is_first && checkpoint.family == Family::kSd15) {
    throw Error("{}: {} is {}, which has one text encoder; leave {} out", path,
                checkpoint.path.string(), to_string(checkpoint.family), flag_of(component));
  }
  TextEncoderFile file = open_text_encoder(path, component);
  checkpoint.components[component] = std::move(file.weights);
  ArchitectureHints& hints = checkpoint.hints;
  (is_first ? hints.text_heads : hints.text_heads_2) =
      is_first ? file.hints.text_heads : file.hints.text_heads_2;
  (is_first ? hints.text_activation : hints.text_activation_2) =
      is_first ? file.hints.text_activation : file.hints.text_activation_2;
  if (!file.merges_text.empty()) checkpoint.merges_text = file.merges_text;
  if (file.tokenizer_folder) checkpoint.tokenizer_folder = file.tokenizer_folder;
  parts.paths[component] = path;
}

/// A decoder alone has no use for quant_conv, the last step of the encoder.
void drop_rest_of_encoder(Checkpoint& checkpoint) {
  const auto vae = checkpoint.components.find(Component::kVae);
  if (vae == checkpoint.components.end() || !is_decoder_only(shapes_of(vae->second))) return;
  std::erase_if(vae->second,
                [](const auto& item) { return item.first.starts_with("quant_conv."); });
}

int64_t encoder_width(const Checkpoint& checkpoint, Component component) {
  return checkpoint.has(component)
             ? text_encoder_width(shapes_of(checkpoint.components.at(component)))
             : 0;
}

/// The context that the UNet reads is as wide as its text encoders together; of SDXL's published
/// widths the order is known too.
void check_text_widths(const ModelParts& parts) {
  constexpr int64_t kSdxlContext = 2048, kClipL = 768;
  const Checkpoint& checkpoint = parts.checkpoint;
  const int64_t context =
      unet_facts(shapes_of(checkpoint.components.at(Component::kUnet))).cross_width;
  const int64_t first = encoder_width(checkpoint, Component::kTextEncoder);
  const int64_t second = encoder_width(checkpoint, Component::kTextEncoder2);
  const bool has_two = checkpoint.family != Family::kSd15;
  const bool is_published = has_two && context == kSdxlContext;
  const auto is_given = [&](Component component) { return parts.paths.count(component) != 0; };
  const bool are_swapped =
      first > second && is_given(Component::kTextEncoder) && is_given(Component::kTextEncoder2);
  if (first == 0 || (has_two && second == 0)) return;
  if (first + second == context) {
    if (!are_swapped && !(is_published && first != kClipL)) return;
    throw Error(
        "{}: this is {}, and the other one {}: the first text encoder is the narrower one; "
        "swap --text-encoder and --text-encoder-2",
        parts.path_of(Component::kTextEncoder).string(), text_encoder_name(first),
        text_encoder_name(second));
  }
  // Which one is to blame: the one that is not the published one, else the one that was given, the
  // second before the first.
  const bool is_first_given = is_given(Component::kTextEncoder);
  const bool is_second_given = is_given(Component::kTextEncoder2);
  const bool blames_first =
      is_published ? first != kClipL : !has_two || (is_first_given && !is_second_given);
  const Component blamed = blames_first ? Component::kTextEncoder : Component::kTextEncoder2;
  const int64_t published = blames_first ? kClipL : context - kClipL;
  const int64_t wanted = is_published ? published : context - (blames_first ? second : first);
  throw Error("{}: this is {}, and the UNet of {} needs {} as {}; name that with {}",
              parts.path_of(blamed).string(), text_encoder_name(blames_first ? first : second),
              parts.path_of(Component::kUnet).string(), text_encoder_name(wanted),
              to_string(blamed), flag_of(blamed));
}

void check_latent_channels(const ModelParts& parts) {
  const Checkpoint& checkpoint = parts.checkpoint;
  const auto vae = checkpoint.components.find(Component::kVae);
  if (vae == checkpoint.components.end()) return;
  const auto conv = vae->second.find(is_tiny_vae(vae->second) ? "decoder.layers.0.weight"
                                                              : "decoder.conv_in.weight");
  if (conv == vae->second.end() || conv->second.dim() != 4) return;
  const int64_t channels = conv->second.size(1);
  const int64_t wanted =
      unet_facts(shapes_of(checkpoint.components.at(Component::kUnet))).out_channels;
  if (channels == wanted) return;
  throw Error(
      "{}: a VAE of {} latent channels, and the UNet has {}: it is of another model family; name "
      "one for {} with --vae",
      parts.path_of(Component::kVae).string(), channels, wanted, to_string(checkpoint.family));
}

}  // namespace

const fs::path& ModelParts::path_of(Component component) const {
  const auto path = paths.find(component);
  return path == paths.end() ? checkpoint.path : path->second;
}

bool is_tiny_vae(const NamedTensors& weights) {
  return weights.count("decoder.layers.0.weight") != 0;
}

ModelParts open_model_parts(const ModelPaths& paths) {
  ModelParts parts;
  parts.checkpoint = open_checkpoint(paths.model);
  if (!paths.unet.empty()) take_unet(paths.unet, parts);
  if (!paths.vae.empty()) take_vae(paths.vae, parts);
  if (!paths.text_encoder.empty())
    take_text_encoder(Component::kTextEncoder, paths.text_encoder, parts);
  if (!paths.text_encoder_2.empty())
    take_text_encoder(Component::kTextEncoder2, paths.text_encoder_2, parts);
  drop_rest_of_encoder(parts.checkpoint);
  check_text_widths(parts);
  check_latent_channels(parts);
  return parts;
}

std::string Shortage::sentence() const {
  if (names.empty())
    return fmt::format("has no {}; name one with {}", to_string(component), flag_of(component));
  return fmt::format(
      "{}: {} missing ({}); name a whole one with {}", to_string(component),
      names.size() == 1 ? "1 weight is" : fmt::format("{} weights are", names.size()),
      join_first(names), flag_of(component));
}

std::vector<Shortage> shortages_of(const Checkpoint& checkpoint) {
  std::vector<Shortage> shortages;
  for (const Component component : components_of(checkpoint.family)) {
    const auto part = checkpoint.components.find(component);
    if (part == checkpoint.components.end()) {
      shortages.push_back({component, {}});
      continue;
    }
    if (is_tiny_vae(part->second)) continue;
    std::vector<std::string> names = missing_weights(component, shapes_of(part->second));
    if (!names.empty()) shortages.push_back({component, std::move(names)});
  }
  return shortages;
}

void check_whole(const ModelParts& parts) {
  const std::vector<Shortage> shortages = shortages_of(parts.checkpoint);
  if (shortages.empty()) return;
  const Checkpoint& checkpoint = parts.checkpoint;
  std::vector<std::string> absent, flags;
  for (const Shortage& shortage : shortages) {
    if (!shortage.names.empty()) continue;
    absent.emplace_back(to_string(shortage.component));
    flags.emplace_back(flag_of(shortage.component));
  }
  if (absent.empty()) {
    const Shortage& first = shortages.front();
    throw Error("{}: {}", parts.path_of(first.component).string(), first.sentence());
  }
  if (checkpoint.components.size() == 1) {
    throw Error(
        "{}: holds a UNet alone; name the other parts with {}, or a complete checkpoint with "
        "--model and this one with --unet",
        checkpoint.path.string(), fmt::join(flags, ", "));
  }
  throw Error("{}: has no {}; name {} with {}", checkpoint.path.string(),
              fmt::join(absent, " and no "), absent.size() == 1 ? "one" : "them",
              fmt::join(flags, " and "));
}

}  // namespace fourstep
