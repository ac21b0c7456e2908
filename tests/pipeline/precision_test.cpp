#include "pipeline/precision.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fourstep {
namespace {

TEST(Precision, WordsChooseTheTypeAndUnknownOnesAreRefused) {
  EXPECT_EQ(network_dtype("fp16", torch::kCPU), torch::kHalf);
  EXPECT_EQ(network_dtype("bf16", torch::kCPU), torch::kBFloat16);
  EXPECT_EQ(network_dtype("fp32", torch::kCPU), torch::kFloat32);
  EXPECT_THROW(network_dtype("fp8", torch::kCPU), InvalidRequest);
  EXPECT_THROW(vae_dtype("", torch::kFloat32), InvalidRequest);
}

TEST(Precision, TheVaeFollowsTheNetworksButNotIntoFp16) {
  EXPECT_EQ(vae_dtype("auto", torch::kBFloat16), torch::kBFloat16);
  EXPECT_EQ(vae_dtype("auto", torch::kHalf), torch::kFloat32);
  EXPECT_EQ(vae_dtype("fp16", torch::kFloat32), torch::kHalf);
}

TEST(Precision, DevicesThatThisMachineHasNotAreRefused) {
  EXPECT_EQ(device_from_text("cpu"), torch::Device(torch::kCPU));
  for (const char* text : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:99999999999", "CPU"}) {
    EXPECT_THROW(device_from_text(text), InvalidRequest) << text;
  }
}

TEST(Precision, EachOfSeveralProcessesHasAGpu) {
  EXPECT_EQ(cuda_index("cuda", 0, 1), 0);
  EXPECT_EQ(cuda_index("cuda", 3, 4), 3);
  EXPECT_EQ(cuda_index("cuda", 3, 2), 1) << "more processes than GPUs share them";
  EXPECT_EQ(cuda_index("cuda", 3, 1), 0) << "Slurm may show each process its own GPU alone";
  EXPECT_EQ(cuda_index("cuda:1", 3, 4), 1) << "a number is that GPU, whatever the process";
  for (const char* text : {"cuda:4", "cuda:99999999999", "cuda:", "cuda:-1", "gpu"}) {
    EXPECT_THROW(cuda_index(text, 0, 4), InvalidRequest) << text;
  }
  EXPECT_THROW(cuda_index("cuda", 0, 0), InvalidRequest);
}

}  // namespace
}  // namespace fourstep
