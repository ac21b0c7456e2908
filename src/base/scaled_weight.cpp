#include "base/scaled_weight.h"

#include "base/error.h"

namespace fourstep {
namespace {

/// The deleter of every promise's storage: also the mark by which one is known.
void release_scaled_weight(void* weight) { delete static_cast<ScaledWeight*>(weight); }

}  // namespace

Tensor make_scaled_weight(ScaledWeight weight) {
  const Shape shape = shape_of(weight.codes);
  const int64_t length = weight.scale.numel();
  if (length != 1 && (shape.empty() || length != shape[0])) {
    throw Error(
        "make_scaled_weight: {} factors for a weight of shape {}, expected one or one per output",
        length, to_string(shape));
  }
  const size_t num_bytes =
      static_cast<size_t>(weight.codes.numel()) * c10::elementSize(torch::kHalf);
  c10::DataPtr data(nullptr, new ScaledWeight(std::move(weight)), release_scaled_weight,
                    c10::Device(c10::kMeta));
  c10::Storage storage(c10::Storage::use_byte_size_t(), num_bytes, std::move(data),
                       /*allocator=*/nullptr, /*resizable=*/false);
  auto promise = c10::make_intrusive<c10::TensorImpl>(std::move(storage),
                                                      c10::DispatchKeySet(c10::DispatchKey::Meta),
                                                      c10::scalarTypeToTypeMeta(torch::kHalf));
  promise->set_sizes_contiguous(shape);
  return Tensor(std::move(promise));
}

const ScaledWeight* scaled_weight_of(const Tensor& tensor) {
  if (!tensor.defined() || !tensor.is_meta() || !tensor.has_storage()) return nullptr;
  return tensor.storage().data_ptr().cast_context<ScaledWeight>(release_scaled_weight);
}

Tensor factors_of(const Tensor& tensor) {
  const ScaledWeight* weight = scaled_weight_of(tensor);
  if (!weight || tensor.numel() == 0) return {};
  if (weight->scale.numel() == 1) return weight->scale.reshape({}).expand(tensor.sizes());
  // The codes are row-major: which dimensions step over rows, and how many, follows from the
  // strides.
  const int64_t row_length = std::max<int64_t>(weight->codes.numel() / weight->codes.size(0), 1);
  Shape strides;
  int64_t last_in_row = tensor.storage_offset() % row_length;
  for (int64_t i = 0; i < tensor.dim(); ++i) {
    const bool crosses_rows = tensor.stride(i) % row_length == 0;
    strides.push_back(crosses_rows ? tensor.stride(i) / row_length : 0);
    if (!crosses_rows) last_in_row += (tensor.size(i) - 1) * tensor.stride(i);
  }
  if (last_in_row >= row_length) return {};
  return weight->scale.as_strided(tensor.sizes(), strides, tensor.storage_offset() / row_length);
}

Tensor scaled_values(const Tensor& tensor) {
  const ScaledWeight* weight = scaled_weight_of(tensor);
  if (!weight) throw Error("scaled_values: a tensor without values");
  const auto of_view = [&](const Tensor& whole) {
    return whole.as_strided(tensor.sizes(), tensor.strides(), tensor.storage_offset());
  };
  const Tensor& codes = weight->codes;
  if (tensor.numel() == 0) return torch::empty(tensor.sizes(), torch::kFloat);
  if (const Tensor factors = factors_of(tensor); factors.defined()) {
    return aligned(of_view(codes)).to(torch::kFloat) * factors;
  }
  return of_view(aligned(codes).to(torch::kFloat) * factors_of(make_scaled_weight(*weight)));
}

}  // namespace fourstep
