#pragma once
// What an image file holds besides its pixels, found by walking the container alone: nothing is
// decoded, so a file with broken pixels still tells how it was made. Not in FOURSTEP_MINIMAL
// builds.

#include <string_view>

#include "io/exif.h"

namespace fourstep {

/// bytes: a whole PNG, JPEG or WebP file; a text of any other kind of file is empty.
/// PNG: tEXt, zTXt and iTXt chunks wherever they stand, and eXIf; JPEG and WebP: EXIF. Broken
/// chunks, chunks with a wrong checksum, and compressed texts of more than 16 MiB are passed over.
/// Never throws for content.
Exif parse_image_metadata(std::string_view bytes);

}  // namespace fourstep
