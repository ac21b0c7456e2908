#pragma once
// What image metadata tell about the files that an image was made with: hashes, by which sites find
// them, and licences.

#include <filesystem>
#include <string>
#include <vector>

#include "base/events.h"
#include "request/request.h"

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

/// The last part of a path, "/" or "\\" being between parts; "~" for the user's home, which has the
/// user's name: for what is shown to others.
std::string shared_name(const std::string& path);

/// `request` with shared_name() for all its files and folders.
Request without_folders(Request request);

/// The name by which metadata calls a file or folder: without folder and extension.
std::string stem_of(const std::string& file);

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

/// Reads each file once; afterwards the user's cache knows it (io/hashes.h). Licences are cut
/// after 100 characters.
FileTags make_file_tags(const FileSettings& files, const UsedFiles& used, const Events& events);

}  // namespace fourstep
