#pragma once
// What an image file holds of the texts that belong into it. This is known before there are any pixels, so that nobody
// learns of it after minutes of sampling, and no text ever costs an image.

#include <string>
#include <vector>

#include "io/image.h"

namespace fourstep {

/// The longest EXIF block of a JPEG file in bytes: one APP1 segment of 65533 bytes begins with "Exif\0\0" (Exif 2.32, 4.5.4).
/// Longer blocks spread over segments are read by Pillow and ExifTool, but taken for broken ones by others.
constexpr size_t kMaxJpegExifBytes = 65533 - 6;

struct LeftOutText {
  std::string name;
  std::string reason;  ///< "JPEG holds 64 KiB of text"
};

struct FittedText {
  ImageText text;                     ///< what a file will hold; whole texts only
  std::vector<LeftOutText> left_out;  ///< in the order of their lengths
};

/// The texts that a file of this format holds: shorter ones go first, so that the longest is the first to be left out.
FittedText fit_text(const ImageText& text, ImageFormat format);

}  // namespace fourstep
