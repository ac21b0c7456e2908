#include "train/latent_cache.h"

#include "base/error.h"
#include "base/text_tools.h"
#include "io/checkpoint.h"
#include "io/fields_json.h"
#include "io/image.h"
#include "io/safetensors.h"
#include "train/random.h"

namespace fourstep {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr int64_t kImagesPerSave = 200;

/// A picture in the file. Everything but `name` and `caption` decides whether its latent still
/// holds.
struct Entry {
  std::string name, caption;  ///< the caption's hash
  uint64_t num_bytes = 0;
  int64_t modified = 0;
  SizeConditioning size = {};
  Tensor latent = {};
};

std::string hash_text(std::string_view text) {
  return fmt::format("{:016x}", hash_of({0, text, 0}));
}

Json json_of(const Entry& entry) {
  const SizeConditioning& size = entry.size;
  return {{"name", entry.name},
          {"caption", entry.caption},
          {"bytes", entry.num_bytes},
          {"modified", entry.modified},
          {"original", {size.original_height, size.original_width}},
          {"crop", {size.crop_top, size.crop_left}},
          {"target", {size.target_height, size.target_width}}};
}

/// Nothing when the JSON is not what json_of() makes: the file may come from anywhere.
std::optional<Entry> entry_of(const Json& json) try {
  const auto pair = [&](const char* key) { return json.at(key).get<std::array<int64_t, 2>>(); };
  const auto [original_height, original_width] = pair("original");
  const auto [top, left] = pair("crop");
  const auto [height, width] = pair("target");
  return Entry{json.at("name"),
               json.at("caption"),
               json.at("bytes"),
               json.at("modified"),
               {original_height, original_width, top, left, height, width}};
} catch (const nlohmann::json::exception&) {
  return std::nullopt;
}

using Entries = std::map<std::string, Entry>;  // by name

/// The entries of the file; none when it is absent, broken or of another encoder.
Entries read_cache(const fs::path& path, const std::string& identity) try {
  Entries entries;
  if (!fs::exists(path)) return entries;
  const TensorFile file = open_safetensors(path);
  const auto text = [&](const char* key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  const Json images = Json::parse(text("images"), nullptr, /*allow_exceptions=*/false);
  if (text("encoder") != identity || !images.is_array()) return entries;
  for (size_t i = 0; i < images.size(); ++i) {
    auto entry = entry_of(images[i]);
    const auto latent = file.tensors.find(std::to_string(i));
    if (!entry || latent == file.tensors.end() || latent->second.dim() != 3) continue;
    entry->latent = aligned(latent->second);
    const std::string name = entry->name;
    entries[name] = *std::move(entry);
  }
  return entries;
} catch (const Error&) {
  return {};
}

void write_cache(const fs::path& path, const std::string& identity,
                 const std::vector<Entry>& entries) {
  Json images = Json::array();
  NamedTensors tensors;
  for (size_t i = 0; i < entries.size(); ++i) {
    images.push_back(json_of(entries[i]));
    tensors[std::to_string(i)] = entries[i].latent;
  }
  write_safetensors(path, tensors, {{"encoder", identity}, {"images", dump_json(images)}});
}

bool is_equal(const SizeConditioning& a, const SizeConditioning& b) {
  return at::equal(size_time_ids(a), size_time_ids(b));
}

SizeConditioning size_of(int64_t height, int64_t width, std::span<const Bucket> buckets) {
  const Fit fit = fit_to_bucket(width, height, buckets);
  return {height, width, fit.crop_top, fit.crop_left, fit.bucket.height, fit.bucket.width};
}

/// The picture as it is now, without size and latent.
Entry entry_of(const FolderImage& image) {
  return {image.name, hash_text(image.caption), fs::file_size(image.path),
          fs::last_write_time(image.path).time_since_epoch().count()};
}

bool is_current(const Entry& cached, const Entry& now, std::span<const Bucket> buckets) {
  const int64_t height = cached.size.original_height, width = cached.size.original_width;
  return cached.num_bytes == now.num_bytes && cached.modified == now.modified && height > 0 &&
         width > 0 && is_equal(cached.size, size_of(height, width, buckets));
}

void encode_into(Entry& entry, const fs::path& path, std::span<const Bucket> buckets,
                 const LatentEncoder& encoder) {
  const Tensor pixels = read_image(path).pixels;
  const int64_t height = pixels.size(0), width = pixels.size(1);
  entry.size = size_of(height, width, buckets);
  const Tensor picture = picture_in_bucket(pixels, fit_to_bucket(width, height, buckets));
  entry.latent = encoder.encode(picture)[0].to(torch::kCPU, torch::kFloat16).contiguous();
  if (!at::isfinite(entry.latent).all().item<bool>()) {
    throw Error("its latent is not finite: the VAE overflows or is broken");
  }
}

/// Keeps count of what was made, so that the file is written now and then.
struct Work {
  const LatentCacheOptions& options;
  const LatentEncoder& encoder;
  Entries cached;
  std::vector<Entry> entries;  // so far, by name
  std::vector<std::string> failures;
  int64_t num_unsaved = 0;

  void save() {
    if (num_unsaved == 0) return;
    std::vector<Entry> all = entries;  // and what was not come to yet
    for (auto rest = cached.upper_bound(entries.back().name); rest != cached.end(); ++rest) {
      all.push_back(rest->second);
    }
    write_cache(options.path, encoder.identity, all);
    num_unsaved = 0;
  }

  /// The entry of a picture, from the file or made; nothing when it cannot be read.
  std::optional<Entry> take(const FolderImage& image) {
    try {
      Entry entry = entry_of(image);
      const auto found = cached.find(image.name);
      if (found != cached.end() && is_current(found->second, entry, options.buckets)) {
        entry.size = found->second.size;
        entry.latent = found->second.latent;
        num_unsaved += entry.caption != found->second.caption;
        return entry;
      }
      encode_into(entry, image.path, options.buckets, encoder);
      ++num_unsaved;
      return entry;
    } catch (const Cancelled&) {
      throw;
    } catch (const Error& error) {
      failures.push_back(fmt::format("{} ({})", image.name, error.what()));
      return std::nullopt;
    }
  }
};

std::string fingerprint_of(const TrainingImages& all, const std::vector<Entry>& entries) {
  std::string text;
  for (size_t i = 0; i < entries.size(); ++i) {
    text += fmt::format("{}\n{} {} {}\n", entries[i].name, entries[i].caption, entries[i].num_bytes,
                        all.images[i].repeats);
  }
  return fmt::format("{} images {}", entries.size(), hash_text(text));
}

}  // namespace

bool can_encode(Models& models) { return !is_decoder_only(shapes_of(models.vae_weights())); }

Tensor latent_of(Models& models, const Tensor& images, const Events& events) {
  const ImageCodec& codec = models.image_codec(events);
  const Tensor x = images.to(models.placement().device);
  if (codec.tiny_vae) return TinyVae(codec.tiny_vae)->encode(x) * codec.scaling_factor;
  return Vae(codec.vae)->encode(x).mean * codec.scaling_factor;
}

LatentEncoder latent_encoder(const char* verb, Models& models, const Events& events) {
  if (!can_encode(models)) {
    throw InvalidRequest(
        "{}: the VAE of {} is a decoder alone and cannot encode pictures; take one with both "
        "halves "
        "(train-lora has --vae)",
        verb, models.vae_path().string());
  }
  return {[&models, &events](const Tensor& image) { return latent_of(models, image, events); },
          fmt::format("{} {}", fingerprint_of(models.vae_weights()),
                      torch::toString(models.placement().vae_dtype))};
}

TrainingImages encode_images(const ImageFolder& folder, const LatentCacheOptions& options,
                             const LatentEncoder& encoder, const Events& events) {
  const torch::NoGradGuard no_grad;
  Work work{options, encoder, read_cache(options.path, encoder.identity), {}, {}};
  TrainingImages all;
  const auto count = static_cast<int64_t>(folder.images.size());
  try {
    for (int64_t i = 0; i < count; ++i) {
      events.report({Stage::kData, i, count});
      const FolderImage& image = folder.images[static_cast<size_t>(i)];
      const auto entry = work.take(image);
      if (!entry) continue;
      work.entries.push_back(*entry);
      all.images.push_back(
          {image.name, image.group, image.caption, image.repeats, entry->size, entry->latent});
      if (work.num_unsaved >= kImagesPerSave) work.save();
    }
  } catch (const Cancelled&) {
    work.save();
    throw;
  }
  work.save();
  events.report({Stage::kData, count, count});
  if (!work.failures.empty()) {
    events.notice(fmt::format("{} of {} images cannot be used and are left out: {}",
                              work.failures.size(), count, join_first(work.failures)));
  }
  if (all.images.empty())
    throw Error("none of the {} images can be used: {}", count, work.failures.front());
  all.fingerprint = fingerprint_of(all, work.entries);
  return all;
}

std::string fingerprint_of(const NamedTensors& weights) {
  const auto whole_numbers = [](int64_t num_bytes) {
    return num_bytes == 8   ? torch::kInt64
           : num_bytes == 4 ? torch::kInt32
           : num_bytes == 2 ? torch::kInt16
                            : torch::kUInt8;
  };
  std::string text;
  for (const auto& [name, weight] : weights) {
    // Whole numbers: a sum that no order of adding changes.
    const Tensor values = aligned(weight);
    const Tensor bits = values.view(whole_numbers(values.itemsize()));
    text += fmt::format("{} {}\n", name, bits.sum(torch::kInt64).item<int64_t>());
  }
  return hash_text(text);
}

}  // namespace fourstep
