#include "distill/sources.h"

#include <filesystem>

#include "base/error.h"
#include "data/image_folder.h"
#include "io/safetensors.h"
#include "nets/unet_config.h"
#include "request/file_tags.h"
#include "train/captions.h"
#include "train/latent_cache.h"
#include "train/random.h"

namespace fourstep {

namespace {

constexpr int64_t kPixelsPerCell = 8;

/// config.resolution, or the native side of the model.
int64_t side_of(const Models& models, const DistillConfig& config, const Events& events) {
  const int64_t native = models.traits().native_side;
  const int64_t side = config.resolution > 0 ? config.resolution : native;
  const std::string file = shared_name(config.model);
  events.notice(
      side == native
          ? fmt::format("distill: trains at {0}x{0} px, the native size of {1}", side, file)
          : fmt::format("distill: trains at {0}x{0} px (--resolution); the native size of "
                        "{1} is {2}x{2}",
                        side, file, native));
  return side;
}

/// All pictures of the folder, scaled to cover the square and cut to it.
LatentRows encode_folder(Models& models, const DistillConfig& config, int64_t side,
                         const Events& events) {
  const ImageFolder folder = scan_image_folder(config.data);
  for (const std::string& notice : folder.notices) events.notice(notice);
  const std::filesystem::path cache =
      config.latents.empty() ? std::filesystem::path(config.out) / "latents.safetensors"
                             : std::filesystem::path(config.latents);
  const TrainingImages images = encode_images(folder, {cache, make_buckets(side, false)},
                                              latent_encoder("distill", models, events), events);
  LatentRows rows;
  std::vector<Tensor> latents;
  for (const TrainingImage& image : images.images) {
    for (int64_t i = 0; i < image.repeats; ++i) {
      latents.push_back(image.latent);
      rows.captions.push_back(image.caption);
    }
  }
  rows.latents = at::stack(latents);
  return rows;
}

LatentRows real_rows(Models& models, const DistillConfig& config, int64_t side,
                     const Events& events) {
  if (config.data.empty() == config.real_latents.empty()) {
    throw InvalidRequest(
        "--gan-weight {} needs real pictures: name either a folder of them with --data, or a file "
        "with --real-latents",
        config.gan_weight);
  }
  return config.data.empty() ? read_latent_rows(config.real_latents, side)
                             : encode_folder(models, config, side, events);
}

}  // namespace

RealBatch LatentRows::batch(uint64_t seed, int64_t iteration, int64_t count) const {
  const Tensor rows = draw_integers({seed, "real", iteration}, 0, latents.size(0), count);
  RealBatch batch{latents.index_select(0, rows).to(torch::kFloat32), {}};
  for (int64_t j = 0; j < count; ++j) {
    batch.captions.push_back(captions[static_cast<size_t>(rows[j].item<int64_t>())]);
  }
  return batch;
}

Tensor latents_of_file(const TensorFile& file, int64_t side) {
  const std::string path = file.path.string();
  const auto found = file.tensors.find("latents");
  if (found == file.tensors.end() || found->second.dim() != 4) {
    throw Error("\"{}\" has no tensor \"latents\" of four dimensions", path);
  }
  const int64_t cells = side / kPixelsPerCell;
  check_shape(found->second, {-1, 4, cells, cells},
              fmt::format("\"{}\": latents for pictures of {} px", path, side));
  return found->second.clone();
}

LatentRows read_latent_rows(const std::filesystem::path& path, int64_t side) {
  const TensorFile file = open_safetensors(path);
  LatentRows rows{latents_of_file(file, side), {}};
  const auto json = nlohmann::json::parse(entry_of(file.metadata, "captions"), nullptr,
                                          /*allow_exceptions=*/false);
  const bool is_list = json.is_array() && static_cast<int64_t>(json.size()) == rows.latents.size(0);
  if (!is_list ||
      !std::all_of(json.begin(), json.end(), [](const auto& j) { return j.is_string(); })) {
    throw Error(
        "\"{}\": its metadata has no \"captions\", a JSON list of {} texts; a folder of pictures "
        "with captions does it too (--data)",
        path.string(), rows.latents.size(0));
  }
  rows.captions = json.get<std::vector<std::string>>();
  return rows;
}

void check_training_side(const Models& models, int64_t side) {
  const NamedTensors& unet = models.checkpoint().components.at(Component::kUnet);
  const size_t num_levels =
      unet_config_from_shapes(shapes_of(unet), models.checkpoint().hints.unet_heads,
                              models.checkpoint().path.string())
          .levels.size();
  const int64_t multiple = kPixelsPerCell << (num_levels - 1);
  if (side > 0 && side % multiple == 0) return;
  throw InvalidRequest("distill: {} px is no multiple of {}, as the {} levels of the UNet need",
                       side, multiple, num_levels);
}

DistillSources sources_from_files(Models& models, const DistillConfig& config,
                                  const Events& events) {
  if (config.prompts.empty()) {
    throw InvalidRequest(std::string(
        "distill: name a text file with a prompt per line with --prompts, or use --emoji"));
  }
  DistillSources sources{.side = side_of(models, config, events)};
  check_training_side(models, sources.side);
  const std::vector<std::string> lines = read_prompts(config.prompts);
  const auto count = static_cast<int64_t>(lines.size());
  sources.prompts = [lines, count, seed = config.seed, batch = config.batch](int64_t iteration) {
    const Tensor choice = draw_integers({seed, "prompts", iteration}, 0, count, batch);
    std::vector<std::string> prompts;
    for (int64_t j = 0; j < batch; ++j) {
      prompts.push_back(lines[static_cast<size_t>(choice[j].item<int64_t>())]);
    }
    return prompts;
  };
  sources.examples = [lines](int64_t wanted) {
    std::vector<std::string> examples;
    for (int64_t i = 0; i < wanted; ++i) {
      examples.push_back(lines[static_cast<size_t>(i) % lines.size()]);
    }
    return examples;
  };
  if (config.gan_weight == 0) return sources;
  sources.real = [rows = real_rows(models, config, sources.side, events), seed = config.seed,
                  batch = config.batch](int64_t iteration) {
    return rows.batch(seed, iteration, batch);
  };
  return sources;
}

}  // namespace fourstep
