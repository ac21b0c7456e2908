#pragma once
// Shared by the tests of this folder: CLIP's vocabulary and packed tensors of golden files.

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/tensor.h"
#include "support/golden.h"
#include "text/bpe.h"

namespace fourstep::testing {

inline const char* clip_merges_path() { return FOURSTEP_SOURCE_DIR "/share/clip/merges.txt"; }

/// CLIP's merges, empty when scripts/setup has not put them in place; a test then skips.
inline const std::string& clip_merges() {
  static const std::string text = [] {
    std::ifstream in(clip_merges_path(), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }();
  return text;
}

/// A tokenizer with CLIP's vocabulary. The plain one is built once.
inline const Tokenizer& clip_tokenizer() {
  static const Tokenizer tokenizer(clip_merges(), clip_merges_path());
  return tokenizer;
}

/// {"shape": [...], "f32": base64} as an fp32 tensor.
inline Tensor unpack(const nlohmann::json& packed) {
  const std::string bytes = decode_base64(packed.at("f32").get<std::string>());
  Tensor tensor = torch::empty(packed.at("shape").get<Shape>(), torch::kFloat32);
  if (bytes.size() != tensor.nbytes())
    throw std::runtime_error("golden tensor: bytes do not fit its shape");
  std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

/// max|got - expected| / max|expected|; infinity when the shapes differ.
inline double relative_error(const Tensor& got, const Tensor& expected) {
  if (got.sizes() != expected.sizes()) return std::numeric_limits<double>::infinity();
  return ((got - expected).abs().max() / expected.abs().max()).item<double>();
}

}  // namespace fourstep::testing

#define SKIP_WITHOUT_CLIP_MERGES()                                                    \
  if (::fourstep::testing::clip_merges().empty())                                     \
  GTEST_SKIP() << "no CLIP vocabulary at " << ::fourstep::testing::clip_merges_path() \
               << "; run scripts/setup"
