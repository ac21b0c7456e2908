#pragma once
// The pictures of a folder as latents: encoded once, kept in one file, used in every epoch.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/events.h"
#include "data/buckets.h"
#include "data/image_folder.h"
#include "pipeline/models.h"
#include "text/conditioning.h"

namespace fourstep {

/// What turns pictures into latents.
struct LatentEncoder {
  /// image: [1,3,H,W] fp32 in [-1,1]. Returns [1,C,h,w], the mean of the posterior times the
  /// family's factor.
  std::function<Tensor(const Tensor& image)> encode;
  std::string identity;  ///< another text: other latents
};

/// Whether the VAE of `models` has an encoder.
bool can_encode(Models& models);

/// images: [B,3,H,W] fp32 in [-1,1]. Returns [B,C,h,w] on the device of `models`, as
/// LatentEncoder::encode.
Tensor latent_of(Models& models, const Tensor& images, const Events& events);

/// The VAE of `models`; both arguments must outlive it. verb: of the command, for the message.
/// Throws InvalidRequest when the VAE is a decoder alone.
LatentEncoder latent_encoder(const char* verb, Models& models, const Events& events);

struct LatentCacheOptions {
  std::filesystem::path path;  ///< of the safetensors file
  std::vector<Bucket> buckets;
};

struct TrainingImage {
  std::string name, group, caption;
  int64_t repeats = 1;
  SizeConditioning size;  ///< as SDXL is told
  Tensor latent;          ///< [C,h,w] fp16 on the CPU
};

struct TrainingImages {
  std::vector<TrainingImage> images;  ///< in the order of their names
  std::string
      fingerprint;  ///< of names, sizes, captions and repeats: what a resumed run must find again
};

/// Latents of all pictures that can be read, from the file where it has them for the same picture
/// (name, size in bytes, time of change), shape and encoder. The others are made, one by one, so
/// that a latent depends on its picture alone; the file is written every few hundred of them, when
/// the user stops, and at the end. Pictures that cannot be read are left out with a notice. Throws
/// Error when none is left or the file cannot be written; Cancelled.
TrainingImages encode_images(const ImageFolder& folder, const LatentCacheOptions& options,
                             const LatentEncoder& encoder, const Events& events);

/// A hash of names and contents of weights, independent of the number of threads.
std::string fingerprint_of(const NamedTensors& weights);

}  // namespace fourstep
