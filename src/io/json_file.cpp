#include "io/json_file.h"

#include <fstream>
#include <iterator>

namespace fourstep {
namespace {

constexpr uintmax_t kMaxBytes = uintmax_t{64} << 20;

}  // namespace

nlohmann::json read_json_object(const std::filesystem::path& path) {
  std::error_code failure;
  const uintmax_t bytes = std::filesystem::file_size(path, failure);
  std::ifstream in(path, std::ios::binary);
  if (failure || !in) throw Error("\"{}\": cannot be read", path.string());
  if (bytes > kMaxBytes)
    throw Error("\"{}\": {} bytes are too many for a JSON file", path.string(), bytes);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  nlohmann::json parsed = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object())
    throw Error("\"{}\": no JSON object; the file is damaged or was not downloaded whole",
                path.string());
  return parsed;
}

}  // namespace fourstep
