#include "io/printable.h"

#include <fmt/format.h>

namespace fourstep {

namespace {

void append_escaped(std::string& out, unsigned char byte) {
  if (byte == '\n') {
    out += "\\n";
  } else if (byte == '"' || byte == '\\') {
    out += {'\\', static_cast<char>(byte)};
  } else if (byte >= 0x20 && byte < 0x7F) {
    out += static_cast<char>(byte);
  } else {
    out += fmt::format("\\x{:02x}", byte);
  }
}

}  // namespace

std::string printable(std::string_view text, size_t max_bytes) {
  std::string out = "\"";
  for (const char c : text.substr(0, max_bytes)) append_escaped(out, static_cast<unsigned char>(c));
  out += '"';
  if (text.size() > max_bytes) out += fmt::format("... ({} bytes)", text.size());
  return out;
}

}  // namespace fourstep
