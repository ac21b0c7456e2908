#include "io/safetensors.h"

#include <algorithm>
#include <future>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "io/atomic_file.h"
#include "io/mapped_file.h"
#include "io/tensor_file.h"
#include "io/text_encoding.h"

namespace fourstep {

namespace {

constexpr size_t kMaxRank = 8;

/// Whether libtorch can hold the entry: beside type and rank, its strides (products of lengths,
/// where zero counts as one) must fit 64 bits, which an empty tensor's need not.
bool is_loadable(const SafetensorsEntry& entry, const FileDtype& dtype) {
  if (!dtype.scalar_type || entry.shape.size() > kMaxRank) return false;
  int64_t stride = dtype.bits;
  return std::none_of(entry.shape.begin(), entry.shape.end(), [&](int64_t length) {
    return __builtin_mul_overflow(stride, std::max<int64_t>(length, 1), &stride);
  });
}

struct OrderedTensor {
  const std::string* name;
  const TensorPlan* plan;
  const FileDtype* dtype;
  uint64_t num_bytes;
};

uint64_t bytes_of(const TensorPlan& plan, const FileDtype& dtype) {
  uint64_t bytes = static_cast<uint64_t>(dtype.bits) / 8;
  for (const int64_t length : plan.shape) bytes *= static_cast<uint64_t>(length);
  return bytes;
}

/// In the reference writer's order. Throws Error for what the format cannot express.
std::vector<OrderedTensor> order_for_file(const std::map<std::string, TensorPlan>& plans,
                                          const std::string& where) {
  std::vector<OrderedTensor> order;
  for (const auto& [name, plan] : plans) {
    const FileDtype* dtype = find_file_dtype(plan.dtype);
    if (!dtype)
      throw Error("{}: tensor {}: the format has no dtype for {}", where, printable(name),
                  c10::toString(plan.dtype));
    if (name == "__metadata__" || name.find('\0') != std::string::npos)
      throw Error("{}: tensor {}: the format forbids this name", where, printable(name));
    order.push_back({&name, &plan, dtype, bytes_of(plan, *dtype)});
  }
  // Pointers into one table compare like the ranks of the types; names are sorted already.
  std::stable_sort(order.begin(), order.end(), [](const OrderedTensor& a, const OrderedTensor& b) {
    return a.dtype > b.dtype;
  });
  return order;
}

/// The JSON text of the header, padded; member order and spelling as the reference writer has them.
std::string make_header_text(const std::vector<OrderedTensor>& order, const Metadata& metadata) {
  std::string text = "{";
  if (!metadata.empty()) text += "\"__metadata__\":" + nlohmann::json(metadata).dump();
  uint64_t offset = 0;
  for (const auto& [name, plan, dtype, num_bytes] : order) {
    const uint64_t end = offset + num_bytes;
    text += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{},{}]}}",
                        text.size() > 1 ? "," : "", nlohmann::json(*name).dump(), dtype->name,
                        to_string(plan->shape), offset, end);
    offset = end;
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

void write_length(std::ostream& out, uint64_t length) {
  for (int i = 0; i < 8; ++i) out.put(static_cast<char>(length >> (8 * i) & 0xFF));
}

/// The values as they stand in a file, in this process's memory.
Tensor plain_data(const Tensor& tensor) {
  // After aligned(), which gives the values of a scaled weight in fp32.
  const Tensor values = aligned(tensor.detach()).to(torch::kCPU, tensor.scalar_type());
  return values.resolve_conj().resolve_neg().contiguous();
}

/// source: what `plain` was made of, perhaps a view of a mapped file.
void write_data(std::ostream& out, const Tensor& plain, const Tensor& source) {
  out.write(static_cast<const char*>(plain.const_data_ptr()),
            static_cast<std::streamsize>(plain.nbytes()));
  drop_pages(source);
}

void check_plan(const OrderedTensor& item, const Tensor& tensor, const std::string& where) {
  const std::string what = fmt::format("{}: tensor {}", where, printable(*item.name));
  if (!tensor.defined()) throw Error("{} is undefined", what);
  check_shape(tensor, item.plan->shape, what);
  if (tensor.scalar_type() != item.plan->dtype)
    throw Error("{}: made as {}, planned as {}", what, c10::toString(tensor.scalar_type()),
                c10::toString(item.plan->dtype));
}

std::string checked_header(const std::vector<OrderedTensor>& order, const Metadata& metadata,
                           const std::string& where) {
  std::string header;
  try {
    header = make_header_text(order, metadata);
  } catch (const nlohmann::json::exception&) {
    throw Error("{}: a name or a metadata value is not valid UTF-8", where);
  }
  if (header.size() > kMaxHeaderBytes)
    throw Error("{}: names and metadata take {} bytes, the format admits {}", where, header.size(),
                kMaxHeaderBytes);
  return header;
}

}  // namespace

TensorFile open_safetensors(const std::filesystem::path& path) {
  TensorFile file;
  file.path = path;
  file.mapping = MappedFile::open(path, "open_safetensors");
  const std::span<const std::byte> bytes = file.mapping->bytes();
  SafetensorsHeader header = parse_safetensors_header(bytes, bytes.size(), path.string());
  file.metadata = std::move(header.metadata);
  for (const auto& [name, entry] : header.entries) {
    const FileDtype* dtype = find_file_dtype(entry.dtype);
    if (!dtype->scalar_type) file.foreign_types.emplace(name, entry.dtype);
    if (!is_loadable(entry, *dtype)) continue;
    const uint64_t begin = header.data_offset + entry.begin;
    file.tensors.emplace(name, make_view(file.mapping, begin, entry.shape, *dtype->scalar_type));
  }
  return file;
}

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const Metadata& metadata) {
  std::map<std::string, TensorPlan> plans;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined())
      throw Error("write_safetensors(\"{}\"): tensor {} is undefined", path.string(),
                  printable(name));
    plans[name] = {tensor.scalar_type(), shape_of(tensor)};
  }
  write_safetensors(
      path, plans, [&](const std::string& name) { return tensors.at(name); }, metadata);
}

void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, TensorPlan>& plans,
                       const std::function<Tensor(const std::string&)>& make,
                       const Metadata& metadata) {
  const std::string where = fmt::format("write_safetensors(\"{}\")", path.string());
  const std::vector<OrderedTensor> order = order_for_file(plans, where);
  const std::string header = checked_header(order, metadata, where);
  write_atomically(path, [&](std::ostream& out) {
    write_length(out, header.size());
    out << header;
    std::future<void> writing;  // one at a time; its destructor waits, also when `make` throws
    for (const OrderedTensor& item : order) {
      const Tensor tensor = make(*item.name);
      check_plan(item, tensor, where);
      const Tensor plain = plain_data(tensor);
      if (writing.valid()) writing.get();
      writing =
          std::async(std::launch::async, [&out, plain, tensor] { write_data(out, plain, tensor); });
    }
    if (writing.valid()) writing.get();
  });
}

uint64_t size_of_tensors(const std::map<std::string, TensorPlan>& plans) {
  uint64_t num_bytes = 0;
  for (const auto& [name, plan] : plans) {
    uint64_t count = 1;
    for (const int64_t length : plan.shape) count *= static_cast<uint64_t>(length);
    num_bytes += count * c10::elementSize(plan.dtype);
  }
  return num_bytes;
}

}  // namespace fourstep
