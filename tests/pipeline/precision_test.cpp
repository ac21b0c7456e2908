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

}  // namespace
}  // namespace fourstep
