#include "io/text_encoder_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
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

}  // namespace fourstep
