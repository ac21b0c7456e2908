#include "base/tensor.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace fourstep
