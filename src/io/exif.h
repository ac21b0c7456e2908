#pragma once
// The part of EXIF (a TIFF structure inside JPEG, WebP and PNG) that image generators use: a text
// in the UserComment, ComfyUI's and named texts in the first directory, and the orientation.

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace fourstep {

/// Texts inside an image file by name, UTF-8. "parameters": A1111 infotext (infotext.h), also for
/// EXIF UserComment; "prompt", "workflow": ComfyUI's graphs as JSON; "Software" and the like also
/// for the EXIF tags of these names; others as found.
using ImageText = std::map<std::string, std::string>;

struct Exif {
  ImageText text;
  int orientation = 1;  ///< 1..8, tag 0x0112: how the stored rows have to be turned; 1 is upright
};

/// block: from the TIFF byte order mark on; a leading "Exif\0\0" is skipped. Anything broken or
/// unknown is passed over, never an error. UserComment may be UNICODE (UTF-16 of either byte order,
/// told by a mark, by which order gives more ASCII, or by the block's own order), ASCII, eight zero
/// bytes or without a code.
Exif parse_exif(std::string_view block);

/// A big-endian TIFF block without "Exif\0\0", or an empty one for no texts; nothing when `text`
/// does not fit: a name that is empty or has a colon or NUL, more texts than there are tags, or
/// more than max_bytes.
/// - "parameters" becomes a UserComment, UNICODE in big-endian UTF-16 as A1111 writes it; where
/// this is too long and all is
///   ASCII, the code ASCII, which takes half the bytes and is read by the same programs (piexif,
/// ExifTool).
/// - Software, Artist, Copyright, DateTime and ImageDescription go to the tags of these names.
/// - The others go into the first directory as ComfyUI does for WebP: tag 0x0110 "prompt:{...}",
/// then 0x010F downwards. What
///   is no JSON object or list stands there as a JSON string, so that it can be told from a
/// camera's name. Invalid UTF-8 and NUL become U+FFFD.
std::optional<std::string> make_exif(const ImageText& text,
                                     size_t max_bytes = std::numeric_limits<uint32_t>::max());

}  // namespace fourstep
