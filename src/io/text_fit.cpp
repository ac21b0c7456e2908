#include "io/text_fit.h"

#include <algorithm>

#include "io/exif.h"
#include "io/text_encoding.h"

namespace fourstep {
namespace {

/// Keywords: 1..79 printable Latin-1 characters (PNG specification, 11.3.3.1).
bool is_png_keyword(const std::string& name) {
  const auto keyword = latin1_from_utf8(name);
  bool is_fit = keyword && !keyword->empty() && keyword->size() <= 79;
  for (size_t i = 0; is_fit && i < keyword->size(); ++i) {
    const auto c = static_cast<uint8_t>((*keyword)[i]);
    is_fit = (c >= 33 && c <= 126) || c >= 161 || (c == ' ' && i > 0 && i + 1 < keyword->size());
  }
  return is_fit;
}

const char* png_refusal(const ImageText& text) {
  const bool is_fit = std::all_of(text.begin(), text.end(),
                                  [](const auto& item) { return is_png_keyword(item.first); });
  return is_fit ? nullptr : "names of texts in PNG are 1 to 79 printable Latin-1 characters";
}

const char* exif_refusal(const ImageText& text, size_t max_bytes, const char* when_too_long) {
  if (make_exif(text, max_bytes)) return nullptr;
  return make_exif(text) ? when_too_long : "EXIF has no place for it";
}

/// Why a file cannot hold these texts together; null when it can.
const char* fit_refusal(const ImageText& text, ImageFormat format) {
  switch (format) {
    case ImageFormat::kPng:
      return png_refusal(text);
    case ImageFormat::kJpeg:
      return exif_refusal(text, kMaxJpegExifBytes, "JPEG holds 64 KiB of text");
    case ImageFormat::kWebp:
      return exif_refusal(text, std::numeric_limits<uint32_t>::max(), "EXIF holds 4 GiB of text");
    case ImageFormat::kPpm:
      break;
  }
  return text.empty() ? nullptr : "PPM holds no text";
}

}  // namespace

FittedText fit_text(const ImageText& text, ImageFormat format) {
  std::vector<ImageText::const_iterator> shortest_first;
  for (auto item = text.begin(); item != text.end(); ++item) shortest_first.push_back(item);
  std::stable_sort(shortest_first.begin(), shortest_first.end(), [](const auto& a, const auto& b) {
    return a->second.size() < b->second.size();
  });
  FittedText fitted;
  for (const auto& item : shortest_first) {
    fitted.text.insert(*item);
    const char* reason = fit_refusal(fitted.text, format);
    if (!reason) continue;
    fitted.text.erase(item->first);
    fitted.left_out.push_back({item->first, reason});
  }
  return fitted;
}

}  // namespace fourstep
