#include "layers/flash_attention.h"

#include <ATen/Parallel.h>

#include "base/parallel.h"
#include "base/processor.h"
#include "layers/flash_attention_kernel.h"

namespace fourstep {

namespace {

/// Queries of one head in a task: whole groups of those that the kernel works on at once.
constexpr BlockSizes kRowsPerTask = {flash::kRowsInFlight, 4 * flash::kRowsInFlight};

bool is_usable(const Tensor& t) {
  return t.device().is_cpu() && t.scalar_type() == torch::kBFloat16 && t.dim() == 3 &&
         t.stride(2) == 1 && t.stride(1) % 2 == 0 && t.numel() > 0;
}

const uint16_t* bits(const Tensor& t) {
  return reinterpret_cast<const uint16_t*>(t.const_data_ptr<at::BFloat16>());
}

/// The rows of one head of one image: [L,64] within [B,L,C].
flash::Rows head_rows(const Tensor& t, int64_t image, int64_t head, int64_t first, int64_t count) {
  const uint16_t* data =
      bits(t) + image * t.stride(0) + first * t.stride(1) + head * flash::kHeadWidth;
  return {data, t.stride(1), count};
}

}  // namespace

bool can_use_flash_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t num_heads) {
  const bool wants_gradient =
      at::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad());
  return has_avx512_bf16() && !wants_gradient && is_usable(q) && is_usable(k) && is_usable(v) &&
         q.size(2) == num_heads * flash::kHeadWidth;
}

Tensor flash_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t num_heads) {
  const int64_t num_rows = q.size(1), num_keys = k.size(1), heads = q.size(0) * num_heads;
  const int64_t words = flash::packed_words(num_keys);
  const Tensor packed = at::empty({heads, words}, torch::kInt32);
  auto* packed_data = reinterpret_cast<uint32_t*>(packed.mutable_data_ptr<int32_t>());
  parallel_for(heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / num_heads, head = i % num_heads;
      flash::pack(head_rows(k, image, head, 0, num_keys), head_rows(v, image, head, 0, num_keys),
                  packed_data + i * words);
    }
  });

  Tensor out = at::empty({q.size(0), num_rows, q.size(2)}, q.options());
  auto* out_data = reinterpret_cast<uint16_t*>(out.mutable_data_ptr<at::BFloat16>());
  const int64_t rows_per_task = block_length(heads, num_rows, kRowsPerTask, at::get_num_threads());
  const int64_t tasks_per_head = (num_rows + rows_per_task - 1) / rows_per_task;
  parallel_for(heads * tasks_per_head, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t i = task / tasks_per_head, image = i / num_heads, head = i % num_heads;
      const int64_t first = task % tasks_per_head * rows_per_task;
      const int64_t count = std::min(rows_per_task, num_rows - first);
      flash::attend(
          head_rows(q, image, head, first, count), packed_data + i * words, num_keys,
          out_data + image * out.stride(0) + first * out.stride(1) + head * flash::kHeadWidth,
          out.stride(1));
    }
  });
  return out;
}

}  // namespace fourstep
