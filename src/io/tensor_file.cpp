#include "io/tensor_file.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "io/pickle.h"
#include "io/safetensors.h"
#include "io/text_encoding.h"
#include "io/weight_files.h"

namespace fourstep {

std::string entry_of(const Metadata& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : found->second;
}

std::string first_entry(const Metadata& metadata, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    const std::string value = entry_of(metadata, key);
    if (!value.empty()) return value;
  }
  return "";
}

std::string licence_of(const Metadata& metadata) {
  return first_entry(metadata, {"modelspec.license", "license", "licence", "ss_license"});
}

namespace {

/// In the order of the reference implementation's enumeration, from which its writer sorts
/// downwards.
constexpr std::array<FileDtype, 22> kFileDtypes = {{
    {"BOOL", 8, torch::kBool},
    {"F4", 4, std::nullopt},
    {"F6_E2M3", 6, std::nullopt},
    {"F6_E3M2", 6, std::nullopt},
    {"U8", 8, torch::kUInt8},
    {"I8", 8, torch::kInt8},
    {"F8_E5M2", 8, torch::kFloat8_e5m2},
    {"F8_E4M3", 8, torch::kFloat8_e4m3fn},
    {"F8_E8M0", 8, torch::kFloat8_e8m0fnu},
    {"F8_E4M3FNUZ", 8, torch::kFloat8_e4m3fnuz},
    {"F8_E5M2FNUZ", 8, torch::kFloat8_e5m2fnuz},
    {"I16", 16, torch::kInt16},
    {"U16", 16, torch::kUInt16},
    {"F16", 16, torch::kFloat16},
    {"BF16", 16, torch::kBFloat16},
    {"I32", 32, torch::kInt32},
    {"U32", 32, torch::kUInt32},
    {"F32", 32, torch::kFloat32},
    {"C64", 64, torch::kComplexFloat},
    {"F64", 64, torch::kFloat64},
    {"I64", 64, torch::kInt64},
    {"U64", 64, torch::kUInt64},
}};

template <typename Predicate>
const FileDtype* find(const Predicate& matches) {
  const auto* found = std::find_if(kFileDtypes.begin(), kFileDtypes.end(), matches);
  return found == kFileDtypes.end() ? nullptr : &*found;
}

}  // namespace

const FileDtype* find_file_dtype(std::string_view name) {
  return find([name](const FileDtype& dtype) { return dtype.name == name; });
}

const FileDtype* find_file_dtype(torch::ScalarType scalar_type) {
  return find([scalar_type](const FileDtype& dtype) { return dtype.scalar_type == scalar_type; });
}

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
