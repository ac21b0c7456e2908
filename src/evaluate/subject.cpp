#include "evaluate/subject.h"

#include <filesystem>

#include "data/image_folder.h"
#include "evaluate/measure.h"
#include "train/captions.h"
#include "train/latent_cache.h"
#include "train/random.h"

namespace fourstep {

namespace {

/// torch's generator keeps 32 bits of a seed.
constexpr uint64_t kSeedsPerSet = uint64_t{1} << 24;

/// A hash of what decides the numbers: the prompts, and names and sizes of the pictures.
std::string settings_of(const std::vector<std::string>& prompts, const ImageFolder& folder,
                        int64_t num_samples) {
  std::string text;
  for (const std::string& prompt : prompts) text += prompt + "\n";
  std::string names;
  for (const FolderImage& image : folder.images) {
    names += fmt::format("{} {}\n", image.name, std::filesystem::file_size(image.path));
  }
  return fmt::format("{} pictures of {} prompts {:016x}, {} real pictures {:016x}", num_samples,
                     prompts.size(), hash_of({0, text, 0}), folder.images.size(),
                     hash_of({0, names, 0}));
}

PromptSets sets_of(const std::vector<std::string>& prompts, const EvaluateConfig& config) {
  const auto num_prompts = static_cast<int64_t>(prompts.size());
  const auto count = std::max(config.samples.value_or(num_prompts), num_prompts);
  PromptSets sets{{{.name = "prompts"}}, {.name = "diversity"}};
  for (int64_t i = 0; i < count; ++i) {
    sets.judged[0].captions.push_back(prompts[static_cast<size_t>(i % num_prompts)]);
  }
  const int64_t num_varied = std::min(config.diversity_prompts, num_prompts);
  sets.diversity.per_caption = config.diversity_samples;
  for (int64_t i = 0; i < num_varied * config.diversity_samples; ++i) {
    sets.diversity.captions.push_back(prompts[static_cast<size_t>(i / config.diversity_samples)]);
  }
  give_seeds({sets.judged.data(), &sets.diversity}, config.seed);
  return sets;
}

/// Of the folder's pictures, scaled to cover the square and cut to it.
Reference folder_reference(const ImageFolder& folder, const std::filesystem::path& cache,
                           Models& models, int64_t side, const Events& events) {
  const LatentCacheOptions options{cache, make_buckets(side, false)};
  std::filesystem::create_directories(cache.parent_path());
  const TrainingImages images =
      encode_images(folder, options, latent_encoder("evaluate", models, events), events);
  GaussianFit fit;
  for (const TrainingImage& image : images.images) fit.add(image.latent.flatten().unsqueeze(0));
  return {{}, fit.gaussian()};
}

}  // namespace

void give_seeds(const std::vector<PromptSet*>& sets, uint64_t seed) {
  for (PromptSet* set : sets) {
    set->first_seed = seed;
    seed += kSeedsPerSet;
  }
}

EvaluationSubject subject_from_files(const EvaluateConfig& config) {
  if (config.prompts.empty()) {
    throw InvalidRequest(std::string(
        "evaluate: name a text file with a prompt per line with --prompts, or use --emoji"));
  }
  const std::vector<std::string> prompts = read_prompts(config.prompts);
  ImageFolder folder;
  if (!config.data.empty()) folder = scan_image_folder(config.data);
  EvaluationSubject subject{.side = config.resolution, .sets = sets_of(prompts, config)};
  subject.settings = settings_of(prompts, folder, subject.sets.judged[0].count());
  if (folder.images.empty() || config.samples == 0) return subject;
  const std::filesystem::path cache =
      config.latents.empty() ? std::filesystem::path(config.out) / "latents.safetensors"
                             : std::filesystem::path(config.latents);
  subject.reference = [folder, cache](Models* models, int64_t side, Measuring& measuring) {
    return folder_reference(folder, cache, *models, side, measuring.events);
  };
  return subject;
}

}  // namespace fourstep
