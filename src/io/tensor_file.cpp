#include "io/tensor_file.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "io/pickle.h"
#include "io/printable.h"
#include "io/safetensors.h"
#include "io/weight_files.h"

namespace fourstep {

namespace {

bool starts_with_ignoring_case(std::string_view text, std::string_view lower_case) {
  return text.size() >= lower_case.size() &&
         std::equal(lower_case.begin(), lower_case.end(), text.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b - 'A' + 'a') : b);
         });
}

/// What a file that is no tensor file seems to be; for the message.
std::string describe_foreign(std::string_view head) {
  const size_t first = head.find_first_not_of(" \t\r\n");
  const std::string_view text = head.substr(std::min(first, head.size()));
  if (head.empty()) return "the file is empty; download it again";
  if (head.starts_with("GGUF"))
    return "this is a GGUF file, whose quantised weights are not supported; get the model as "
           "safetensors";
  if (head.starts_with("version https://git-lfs.github.com/spec/"))
    return "this is a git-lfs pointer, not the model; run \"git lfs pull\" or download the file "
           "itself";
  if (starts_with_ignoring_case(text, "<!doctype") || starts_with_ignoring_case(text, "<html") ||
      starts_with_ignoring_case(text, "<?xml"))
    return "this is a web page saved in place of the model (log-in or error page?); download it "
           "again";
  if (head.starts_with("\x80")) return "this is a Python pickle, but not one that torch.save wrote";
  if (text.starts_with("{")) return "this is a JSON file, not weights";
  constexpr size_t kShown = 16;
  return "neither safetensors nor a PyTorch file; it begins with " +
         printable(head.substr(0, kShown));
}

/// Whether the first eight bytes are a possible header length and a JSON object follows.
bool looks_like_safetensors(std::string_view head) {
  constexpr size_t kPrefix = 8;
  if (head.size() <= kPrefix) return false;
  uint64_t length = 0;
  for (size_t i = 0; i < kPrefix; ++i)
    length |= static_cast<uint64_t>(static_cast<uint8_t>(head[i])) << (8 * i);
  const size_t first = head.find_first_not_of(" \t\r\n", kPrefix);
  return length <= kMaxHeaderBytes && first != std::string_view::npos && head[first] == '{';
}

}  // namespace

TensorFile open_one_tensor_file(const std::filesystem::path& path) {
  const auto mapping = MappedFile::open(path, "open_tensor_file");
  const std::span<const std::byte> bytes = mapping->bytes();
  constexpr size_t kHeadBytes = 4096;
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()),
                              std::min(bytes.size(), kHeadBytes));
  if (is_zip_file(bytes) || is_legacy_pickle(bytes)) return open_pickle(path);
  if (looks_like_safetensors(head)) return open_safetensors(path);
  throw Error("open_tensor_file(\"{}\"): {}", path.string(), describe_foreign(head));
}

TensorFile open_tensor_file(const std::filesystem::path& path) {
  TensorFile file = read_weight_files(weight_files_of(path));
  file.path = path;
  return file;
}

}  // namespace fourstep
