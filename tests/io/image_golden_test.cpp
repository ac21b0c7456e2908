// Files of other programs, of every kind that a reader meets: tests/oracle/make_image_files.py
// wrote them and the pixels that Pillow sees in them.
#include <gtest/gtest.h>

#include "io/image.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using testing::load_golden;

bool can_read(const std::string& container) {
#ifdef FOURSTEP_MINIMAL
  return container == "PPM";
#else
  return container == "PNG" || container == "JPEG" || container == "WEBP" || container == "PPM";
#endif
}

Tensor bytes_of(const nlohmann::json& list) {
  const auto values = list.get<std::vector<uint8_t>>();
  return torch::tensor(torch::ArrayRef<uint8_t>(values), torch::kUInt8);
}

int64_t max_byte_difference(const Tensor& a, const Tensor& b) {
  return (a.to(torch::kInt32) - b.to(torch::kInt32)).abs().max().item<int64_t>();
}

TEST(GoldenImageFiles, ReadAsPillowReadsThem) {
  const auto golden = load_golden("image_files.json");
  if (!golden) GTEST_SKIP() << "no image_files.json";
  size_t checked = 0, skipped = 0;
  for (const auto& item : (*golden)["cases"]) {
    if (!can_read(item["container"])) {
      ++skipped;
      continue;
    }
    SCOPED_TRACE(item["id"].get<std::string>());
    const Image image = decode_image(testing::decode_base64(item["file_b64"]));
    ASSERT_EQ(shape_of(image.pixels), item["shape"].get<Shape>());
    EXPECT_LE(max_byte_difference(image.pixels.flatten(), bytes_of(item["pixels"])),
              item["tolerance"].get<int64_t>());
    ASSERT_EQ(image.alpha.defined(), item.contains("alpha"));
    if (image.alpha.defined()) {
      EXPECT_TRUE(image.alpha.flatten().equal(bytes_of(item["alpha"])));
    }
    ++checked;
  }
  testing::report_golden("image_files.json", checked, skipped);
}

TEST(GoldenImageFiles, ConversionsRoundAsDiffusersAndComfyUi) {
  const auto golden = load_golden("image_files.json");
  if (!golden || !golden->contains("conversions")) GTEST_SKIP() << "no conversions";
  const auto& numbers = (*golden)["conversions"];
  const auto values = numbers["values"].get<std::vector<float>>();
  const Tensor image = torch::tensor(torch::ArrayRef<float>(values), torch::kFloat32)
                           .reshape(numbers["shape"].get<Shape>());
  EXPECT_TRUE(pixels_from_image(image).flatten().equal(bytes_of(numbers["nearest"])));
  EXPECT_TRUE(pixels_from_image(image, Rounding::kTruncate)
                  .flatten()
                  .equal(bytes_of(numbers["truncated"])));
  const Tensor every = torch::arange(256, torch::kUInt8).reshape({1, 256, 1}).expand({1, 256, 3});
  const auto back = testing::to_doubles(image_from_pixels(every).select(1, 0));
  EXPECT_LE(testing::max_absolute_error(back, testing::numbers(numbers["image_from_bytes"])), 0.0);
}

}  // namespace
}  // namespace fourstep
