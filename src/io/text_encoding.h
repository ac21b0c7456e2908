#pragma once
// Text in foreign files: the encodings in which image files carry it, to and from UTF-8 (no input
// is refused: what cannot be decoded becomes U+FFFD), what of it they hold, and how it is shown.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/image.h"

namespace fourstep {

/// The code point that begins at byte `at` of `text`, with `at` moved behind it; nothing (and `at`
/// moved by one byte) where the bytes are not UTF-8: overlong forms, surrogates and values above
/// U+10FFFF included. `at` must be less than text.size().
std::optional<char32_t> next_code_point(std::string_view text, size_t& at);

bool is_utf8(std::string_view text);

/// `text` with each byte that is not part of UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

/// valid_utf8() with U+FFFD for NUL too, which ends texts in image files.
std::string text_without_nuls(std::string_view text);

std::string utf8_from_latin1(std::string_view bytes);

/// Nothing when a character is above U+00FF or `text` is not UTF-8.
std::optional<std::string> latin1_from_utf8(std::string_view text);

/// bytes: UTF-16 without a byte order mark; an odd last byte is dropped.
std::string utf8_from_utf16(std::string_view bytes, bool big_endian);

/// UTF-16, big-endian, without a byte order mark.
std::string utf16be_from_utf8(std::string_view text);

// Text out of foreign files, made fit for an error message or a terminal.

/// `text` in double quotes, with quotes, backslashes and every byte outside printable ASCII escaped
/// (\n, \x1b), and cut after `max_bytes` bytes with the full length named: names of tensors and the
/// like come from files that nobody vouches for.
std::string printable(std::string_view text, size_t max_bytes = 96);

// What an image file holds of the texts that belong into it. This is known before there are any
// pixels, so that nobody learns of it after minutes of sampling, and no text ever costs an image.

/// The longest EXIF block of a JPEG file in bytes: one APP1 segment of 65533 bytes begins with
/// "Exif\0\0" (Exif 2.32, 4.5.4). Longer blocks spread over segments are read by Pillow and
/// ExifTool, but taken for broken ones by others.
constexpr size_t kMaxJpegExifBytes = 65533 - 6;

struct LeftOutText {
  std::string name;
  std::string reason;  ///< "JPEG holds 64 KiB of text"
};

struct FittedText {
  ImageText text;                     ///< what a file will hold; whole texts only
  std::vector<LeftOutText> left_out;  ///< in the order of their lengths
};

/// The texts that a file of this format holds: shorter ones go first, so that the longest is the
/// first to be left out.
FittedText fit_text(const ImageText& text, ImageFormat format);

}  // namespace fourstep
