#pragma once
// The part of EXIF (a TIFF structure inside JPEG, WebP and PNG) that image generators use: a text in the
// UserComment, ComfyUI's texts in the first directory, and the orientation.

#include <map>
#include <string>
#include <string_view>

namespace fourstep {

/// Texts inside an image file by name, UTF-8. "parameters": A1111 infotext (infotext.h), also for EXIF
/// UserComment; "prompt", "workflow": ComfyUI's graphs as JSON; others as found.
using ImageText = std::map<std::string, std::string>;

struct Exif {
  ImageText text;
  int orientation = 1;  ///< 1..8, tag 0x0112: how the stored rows have to be turned; 1 is upright
};

/// block: from the TIFF byte order mark on; a leading "Exif\0\0" is skipped. Anything broken or unknown is
/// passed over, never an error. UserComment may be UNICODE (UTF-16 of either byte order, told by a mark, by
/// which order gives more ASCII, or by the block's own order), ASCII, eight zero bytes or without a code.
Exif parse_exif(std::string_view block);

/// A big-endian TIFF block without "Exif\0\0", or nothing when `text` is empty. "parameters" becomes a
/// UserComment, UNICODE in big-endian UTF-16 as A1111 writes it; the others go into the first directory as
/// ComfyUI does for WebP: tag 0x0110 "prompt:{...}", then 0x010F downwards.
/// Throws Error for a text other than "parameters" that is no JSON object or list (it could not be told from
/// a camera's name when read), or when there are more texts than tags.
std::string make_exif(const ImageText& text);

}  // namespace fourstep
