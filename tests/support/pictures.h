#pragma once
// A folder with two drawn pictures and their captions, for tests of fine-tuning.

#include <filesystem>

#include "io/image.h"
#include "support/files.h"

namespace fourstep::testing {

/// A disc on a plain ground, colours in 0..255. Returns uint8 [height,width,3].
inline Tensor drawn_disc(int64_t width, int64_t height, const std::array<int, 3>& disc,
                         const std::array<int, 3>& ground) {
  const Tensor y = torch::arange(height).unsqueeze(1) - height / 2;
  const Tensor x = torch::arange(width).unsqueeze(0) - width / 2;
  const Tensor is_inside = x * x + y * y < std::min(width, height) * std::min(width, height) / 9;
  std::vector<Tensor> channels;
  for (size_t c = 0; c < 3; ++c) {
    channels.push_back(torch::where(is_inside, disc[c], ground[c]));
  }
  return torch::stack(channels, 2).to(torch::kUInt8);
}

/// FOLDER/lying.png (96x64, "a cat") and FOLDER/standing.png (64x96, "a fox").
inline void write_two_pictures(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  write_image(folder / "lying.png", {drawn_disc(96, 64, {250, 220, 40}, {20, 40, 160}), {}, {}});
  write_image(folder / "standing.png",
              {drawn_disc(64, 96, {200, 30, 30}, {230, 240, 220}), {}, {}});
  write_file(folder / "lying.txt", "a cat");
  write_file(folder / "standing.txt", "a fox");
}

}  // namespace fourstep::testing
