#pragma once
// What is written into an image file so that the image can be made again.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/exif.h"
#include "io/infotext.h"
#include "io/model_family.h"
#include "io/text_encoding.h"
#include "request/file_tags.h"
#include "request/request.h"

namespace fourstep {

/// "parameters": the A1111 line, which other programs and sites read; "fourstep": the whole request
/// as JSON, with the hashes of its files as "hashes". Files and folders have their own names alone
/// (shared_name()): an image is shown to others, who need not learn whose machine it was made on.
/// request: resolved, of this image alone (single_image); family: of the model, since A1111 counts
/// clip skip from the layer that the family normally uses. The request's LoRAs appear behind the
/// prompt as <lora:name:weight> tags, as A1111 writes them; those of tags in the prompt are there
/// already.
ImageText image_metadata(const Request& request, Family family, const FileTags& files = {});

/// What an image file tells of how it was made.
struct RecordedSettings {
  std::optional<Request> request;    ///< of images of ours
  std::optional<Infotext> infotext;  ///< the A1111 line, of ours too
};

/// Throws Error naming the file when it cannot be read or carries neither, InvalidRequest when its
/// request is none.
RecordedSettings read_settings(const std::filesystem::path& image);

/// A sentence for each text of image_metadata() that an image file does not hold.
std::vector<std::string> left_out_notices(const FittedText& fitted);

/// A1111's spelling of a sampler or schedule ("euler_ancestral": "Euler a"); names it does not know
/// stay.
std::string a1111_sampler_name(const std::string& sampler);
std::string a1111_schedule_name(const std::string& schedule, int64_t steps);

}  // namespace fourstep
