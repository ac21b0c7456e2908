#include "pipeline/precision.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include "base/environment.h"
#include "base/error.h"
#include "base/processor.h"

namespace fourstep {

namespace {

/// The number of this process among those on its machine, as torchrun, Open MPI or Slurm say; 0 without them.
int64_t local_rank() {
  const auto rank = whole_number_from_environment(
      {"LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"}, 0, 100'000);
  return rank.value_or(0);
}

}  // namespace

int64_t cuda_index(const std::string& text, int64_t local_rank, int64_t count) {
  const bool is_indexed = text.starts_with("cuda:") && text.size() > 5 &&
                          text.find_first_not_of("0123456789", 5) == std::string::npos;
  if (text != "cuda" && !is_indexed) {
    throw InvalidRequest("--device: \"{}\" is none of auto, cpu, cuda, cuda:N", text);
  }
  // Slurm may show each process a GPU of its own, and several processes may share one.
  if (!is_indexed && count > 0) return local_rank % count;
  const bool is_long = text.size() > 9;  // more digits than any machine has devices
  const int64_t index = is_long ? count : is_indexed ? std::stoll(text.substr(5)) : 0;
  if (index < count) return index;
  throw InvalidRequest("--device: {} asked for, but this build sees {} CUDA devices", text, count);
}

torch::Device device_from_text(const std::string& text) {
  if (text == "cpu" || (text == "auto" && !at::hasCUDA())) return torch::kCPU;
  const int64_t count = at::hasCUDA() ? at::detail::getCUDAHooks().getNumGPUs() : 0;
  const int64_t index = cuda_index(text == "auto" ? "cuda" : text, local_rank(), count);
  return torch::Device(torch::kCUDA, static_cast<c10::DeviceIndex>(index));
}

void forbid_tf32() { at::globalContext().setAllowTF32CuDNN(false); }

std::string precision_name(torch::Dtype dtype) {
  if (dtype == torch::kBFloat16) return "bf16";
  if (dtype == torch::kHalf) return "fp16";
  return "fp32";
}

namespace {

torch::Dtype dtype_from_name(const std::string& name) {
  if (name == "bf16") return torch::kBFloat16;
  if (name == "fp16") return torch::kHalf;
  if (name == "fp32") return torch::kFloat32;
  throw InvalidRequest("precision \"{}\" is none of auto, bf16, fp16, fp32", name);
}

// cuDNN's bf16 convolutions exist from compute capability 8.0 (Ampere) on; so does every tensor-core bf16.
bool cuda_multiplies_bf16() {
  return at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8();
}

}  // namespace

torch::Dtype network_dtype(const std::string& precision, torch::Device device) {
  if (precision != "auto") return dtype_from_name(precision);
  if (device.is_cuda()) return cuda_multiplies_bf16() ? torch::kBFloat16 : torch::kHalf;
  return has_avx512_bf16() ? torch::kBFloat16 : torch::kFloat32;
}

torch::Dtype vae_dtype(const std::string& precision, torch::Dtype network) {
  if (precision != "auto") return dtype_from_name(precision);
  return network == torch::kHalf ? torch::kFloat32 : network;
}

}  // namespace fourstep
