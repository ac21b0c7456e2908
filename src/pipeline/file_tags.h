#pragma once
// What image metadata tell about the files that an image was made with: hashes, by which sites find them, and licences.

#include <filesystem>
#include <string>
#include <vector>

#include "base/events.h"
#include "pipeline/request.h"

namespace fourstep {

/// Hashes are empty where a file has none: folders, shards, and builds without SHA-256.
struct FileTags {
  std::string model;            ///< AutoV2 of the checkpoint, A1111's "Model hash"
  std::string vae;              ///< AutoV2 of a separate VAE
  std::string loras;            ///< "name: hash, name: hash" with AutoV3, A1111's "Lora hashes"
  std::string inversions = {};  ///< alike, first 12 digits of SHA-256, A1111's "TI hashes"
  std::string licenses = {};    ///< "name: licence, name: licence", see UsedFiles
  /// AutoV2 of a separate UNet, and of separate text encoders.
  std::string unet = {}, text_encoder = {}, text_encoder_2 = {};
};

/// What a file states as its licence.
struct FileLicence {
  std::filesystem::path file;
  std::string licence;
};

/// What an image was made with besides the files that its request names.
struct UsedFiles {
  std::vector<std::filesystem::path> inversions;  ///< textual inversions
  std::vector<FileLicence> licences;              ///< see Models::licences()
};

/// Reads each file once; afterwards the user's cache knows it (io/hash_cache.h). Licences are cut after 100 characters.
FileTags make_file_tags(const Request& request, const UsedFiles& used, const Events& events);

}  // namespace fourstep
