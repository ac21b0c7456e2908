#include "io/pickle.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "io/pickle_machine.h"
#include "io/text_encoding.h"
#include "io/zip_archive.h"

namespace fourstep {

namespace {

/// A pickle of the number 0x1950a86a20f9469cfc6c: protocol 2, LONG1 of ten bytes, STOP.
constexpr std::string_view kLegacyMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
                                        15);

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The object of a checkpoint and where its storages' bytes are.
struct PickledFile {
  std::string where;  ///< operation and file, for messages
  std::shared_ptr<const MappedFile> mapping;
  PickleDocument document;
  std::map<std::string, ZipEntry> storages;  ///< by key
};

/// "archive" of the one entry "archive/data.pkl".
std::string find_top_folder(const std::map<std::string, ZipEntry>& entries,
                            const std::string& where) {
  constexpr std::string_view kObject = "/data.pkl";
  for (const auto& [name, entry] : entries)
    if (name.ends_with(kObject) && std::count(name.begin(), name.end(), '/') == 1)
      return name.substr(0, name.size() - kObject.size());
  throw Error("{}: a zip file, but not of PyTorch (no data.pkl in it)", where);
}

void read_zip_container(PickledFile& file) {
  const std::span<const std::byte> bytes = file.mapping->bytes();
  const auto entries = read_zip_directory(bytes, file.where);
  const auto contents = [&](const ZipEntry& e) { return bytes.subspan(e.begin, e.end - e.begin); };
  const std::string top = find_top_folder(entries, file.where);
  const auto order = entries.find(top + "/byteorder");
  if (order != entries.end() && as_text(contents(order->second)) != "little")
    throw Error("{}: the numbers in it are big-endian, expected little-endian", file.where);
  const std::string data = top + "/data/";
  for (const auto& [name, entry] : entries)
    if (name.starts_with(data)) file.storages.emplace(name.substr(data.size()), entry);
  file.document = read_pickle(contents(entries.at(top + "/data.pkl")), file.where);
}

/// Element counts by storage key, as the object of the pickle declares them.
using StorageValues = std::map<std::string_view, const PickleValue*>;

StorageValues declared_storages(const PickledFile& file) {
  StorageValues storages;
  for (const PickleValue& value : file.document.values) {
    if (value.kind != PickleKind::kStorage) continue;
    const PickleValue& first = *storages.emplace(value.text, &value).first->second;
    if (first.dtype != value.dtype || first.integer != value.integer)
      throw Error("{}: storage {} is declared in two ways", file.where, printable(value.text));
  }
  return storages;
}

uint64_t storage_bytes(const PickleValue& storage, const std::string& where) {
  uint64_t num_bytes = 0;
  const bool overflow = __builtin_mul_overflow(static_cast<uint64_t>(storage.integer),
                                               c10::elementSize(storage.dtype), &num_bytes);
  if (storage.integer < 0 || overflow)
    throw Error("{}: storage {} has {} elements", where, printable(storage.text), storage.integer);
  return num_bytes;
}

/// Storages follow the pickles: a count of 8 bytes each, then the raw numbers.
void locate_legacy_storages(PickledFile& file, const PickleDocument& keys, uint64_t position) {
  constexpr uint64_t kCountBytes = 8;
  const uint64_t file_bytes = file.mapping->bytes().size();
  const StorageValues declared = declared_storages(file);
  for (const PickleValue* key : keys.root->items) {
    const auto found = declared.find(key->text);
    if (found == declared.end())
      throw Error("{}: storage {} belongs to no tensor", file.where, printable(key->text));
    const uint64_t num_bytes = storage_bytes(*found->second, file.where);
    const auto require = [&](uint64_t needed) {
      if (file_bytes - position < needed)
        throw Error("{}: storage {} needs {} bytes, the file ends earlier (truncated download?)",
                    file.where, printable(key->text), num_bytes);
    };
    require(kCountBytes);
    uint64_t count = 0;
    std::memcpy(&count, file.mapping->bytes().data() + position, kCountBytes);
    if (count != static_cast<uint64_t>(found->second->integer))
      throw Error("{}: storage {} holds {} elements, its tensors expect {}", file.where,
                  printable(key->text), count, found->second->integer);
    position += kCountBytes;
    require(num_bytes);
    file.storages.emplace(key->text, ZipEntry{position, position + num_bytes});
    position += num_bytes;
  }
}

/// Magic number, protocol version, system description, object, storage keys; each a pickle.
void read_legacy_container(PickledFile& file) {
  const std::span<const std::byte> bytes = file.mapping->bytes();
  size_t position = kLegacyMagic.size();
  const auto next = [&] {
    PickleDocument document = read_pickle(bytes.subspan(position), file.where);
    position += document.num_bytes;
    return document;
  };
  constexpr int64_t kProtocolVersion = 1001;
  const PickleDocument version = next();
  if (version.root->integer != kProtocolVersion)
    throw Error("{}: container version {}, expected {}", file.where, version.root->integer,
                kProtocolVersion);
  const PickleDocument system = next();
  const PickleValue* little_endian = find_item(*system.root, "little_endian");
  if (little_endian && little_endian->integer == 0)
    throw Error("{}: the numbers in it are big-endian, expected little-endian", file.where);
  file.document = next();
  const PickleDocument keys = next();
  if (keys.root->kind != PickleKind::kList)
    throw Error("{}: the list of storages is missing", file.where);
  locate_legacy_storages(file, keys, position);
}

/// The dict that holds the weights.
const PickleValue& find_state_dict(const PickledFile& file) {
  const PickleValue& root = *file.document.root;
  const PickleValue* inner = find_item(root, "state_dict");
  if (!inner) inner = find_item(root, "string_to_param");
  if (!inner && root.kind == PickleKind::kDict && root.items.size() == 2) inner = root.items[1];
  const PickleValue& dict = inner && inner->kind == PickleKind::kDict ? *inner : root;
  if (dict.kind != PickleKind::kDict)
    throw Error("{}: it holds no dict of tensors (a state dict)", file.where);
  return dict;
}

/// Turns descriptions of tensors into tensors; storages are made once and shared.
class TensorMaker {
 public:
  explicit TensorMaker(const PickledFile& file) : file_(file) {}

  Tensor make(const PickleValue& value, const std::string& name) {
    const std::string where = fmt::format("{}: tensor {}", file_.where, printable(name));
    const Tensor storage = storage_as(*value.storage, value.dtype, where);
    check_geometry(value, storage.numel(), where);
    const Tensor view = storage.as_strided(value.shape, value.strides, value.integer);
    return view.is_contiguous() ? view : aligned(view).contiguous();
  }

 private:
  /// The whole storage as a row of `dtype`, which differs from the storage's own only for untyped
  /// ones.
  Tensor storage_as(const PickleValue& storage, torch::ScalarType dtype, const std::string& where) {
    const auto key = std::pair(storage.text, dtype);
    const auto known = made_.find(key);
    if (known != made_.end()) return known->second;
    const auto entry = file_.storages.find(storage.text);
    if (entry == file_.storages.end())
      throw Error("{}: its storage {} is not in the file", where, printable(storage.text));
    const uint64_t declared = storage_bytes(storage, where);
    const uint64_t held = entry->second.end - entry->second.begin;
    if (declared != held)
      throw Error("{}: its storage {} has {} bytes, expected {}", where, printable(storage.text),
                  held, declared);
    const auto length = static_cast<int64_t>(held / c10::elementSize(dtype));
    return made_.emplace(key, make_view(file_.mapping, entry->second.begin, {length}, dtype))
        .first->second;
  }

  /// Throws unless every element lies inside the storage and none has to be there twice.
  static void check_geometry(const PickleValue& value, int64_t storage_length,
                             const std::string& where) {
    int64_t last = value.integer, numel = 1;
    bool fits = value.integer >= 0;
    for (size_t i = 0; i < value.shape.size(); ++i) {
      const int64_t length = value.shape[i], stride = value.strides[i];
      int64_t reach = 0;
      fits = fits && length >= 0 && stride >= 0 && !__builtin_mul_overflow(numel, length, &numel) &&
             !__builtin_mul_overflow(std::max<int64_t>(length - 1, 0), stride, &reach) &&
             !__builtin_add_overflow(last, reach, &last);
    }
    fits = fits && (numel == 0 ? value.integer <= storage_length
                               : last < storage_length && numel <= storage_length);
    if (!fits)
      throw Error("{}: shape {}, strides {}, offset {} do not fit its storage of {} elements",
                  where, to_string(value.shape), to_string(value.strides), value.integer,
                  storage_length);
  }

  const PickledFile& file_;
  std::map<std::pair<std::string, torch::ScalarType>, Tensor> made_;
};

}  // namespace

bool is_zip_file(std::span<const std::byte> head) {
  return as_text(head).starts_with("PK\x03\x04");
}

bool is_legacy_pickle(std::span<const std::byte> head) {
  return as_text(head).starts_with(kLegacyMagic);
}

TensorFile open_pickle(const std::filesystem::path& path) {
  PickledFile file;
  file.where = fmt::format("open_pickle(\"{}\")", path.string());
  file.mapping = MappedFile::open(path, "open_pickle");
  if (is_zip_file(file.mapping->bytes())) {
    read_zip_container(file);
  } else if (is_legacy_pickle(file.mapping->bytes())) {
    read_legacy_container(file);
  } else {
    throw Error("{}: not a file that torch.save wrote", file.where);
  }
  declared_storages(file);
  TensorFile result{.path = path, .tensors = {}, .metadata = {}, .mapping = file.mapping};
  TensorMaker maker(file);
  const std::vector<const PickleValue*>& items = find_state_dict(file).items;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i]->kind != PickleKind::kString || items[i + 1]->kind != PickleKind::kTensor)
      continue;
    result.tensors.insert_or_assign(items[i]->text, maker.make(*items[i + 1], items[i]->text));
  }
  if (result.tensors.empty()) throw Error("{}: it holds no named tensors", file.where);
  return result;
}

}  // namespace fourstep
