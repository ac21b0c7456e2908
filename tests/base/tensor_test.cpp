#include "base/tensor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

#include "base/error.h"

namespace fourstep {
namespace {

TEST(CheckShape, AcceptsAnyLengthForMinusOne) {
  EXPECT_NO_THROW(check_shape(torch::zeros({2, 77, 2048}), {-1, 77, 2048}, "context"));
}

TEST(CheckShape, NamesWhatItGotAndExpected) {
  try {
    check_shape(torch::zeros({2, 3}), {-1, 4}, "UNet::forward: context");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "UNet::forward: context: shape [2,3], expected [-1,4]");
  }
}

TEST(Aligned, CopiesWhatIsMisalignedWithItsStrides) {
  const Tensor values = torch::arange(6, torch::kFloat32);
  std::vector<char> bytes(6 * sizeof(float) + 1);
  std::memcpy(bytes.data() + 1, values.const_data_ptr(), 6 * sizeof(float));
  const Tensor odd = torch::from_blob(bytes.data() + 1, {2, 3}, torch::kFloat32).t();
  const Tensor copy = aligned(odd);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(copy.const_data_ptr()) % sizeof(float), 0u);
  EXPECT_EQ(copy.strides(), odd.strides());
  EXPECT_TRUE(torch::equal(copy, values.reshape({2, 3}).t()));
}

TEST(Aligned, GivesBackWhatIsAligned) {
  const Tensor values = torch::arange(6, torch::kFloat32);
  EXPECT_EQ(aligned(values).const_data_ptr(), values.const_data_ptr());
  EXPECT_EQ(aligned(torch::zeros({0})).numel(), 0);
}

}  // namespace
}  // namespace fourstep
