#include "pipeline/textual_inversions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <memory>

#include "base/error.h"
#include "io/file_search.h"
#include "io/tensor_file.h"

namespace fourstep {

namespace {

/// The tensor of one encoder; undefined when the file has none.
Tensor find_tensor(const NamedTensors& tensors, size_t encoder, int64_t width) {
  const auto fits = [&](const Tensor& t) {
    const bool is_row = t.dim() == 1 || t.dim() == 2;
    return is_row && t.size(-1) == width && t.is_floating_point() && t.numel() > 0;
  };
  const auto named = tensors.find(encoder == 0 ? "clip_l" : "clip_g");
  if (named != tensors.end()) return fits(named->second) ? named->second : Tensor();
  for (const auto& [name, tensor] : tensors) {
    if (fits(tensor)) return tensor;
  }
  return {};
}

Tensor read_vectors(const TensorFile& file, size_t encoder, const std::vector<int64_t>& widths) {
  const int64_t width = widths.at(encoder);
  const Tensor found = find_tensor(file.tensors, encoder, width);
  if (!found.defined()) {
    throw Error(
        "{}: no vectors of width {} for text encoder {}; it holds {}; is it for another model "
        "family?",
        file.path.string(), width, encoder + 1, shapes_of(file.tensors));
  }
  const Tensor vectors = aligned(found).reshape({-1, width}).to(torch::kFloat32);
  if (vectors.size(0) > kChunkTokens) {
    throw Error("{}: {} vectors, a prompt has room for {} at most", file.path.string(),
                vectors.size(0), kChunkTokens);
  }
  return vectors;
}

}  // namespace

InversionFiles open_inversions(const std::vector<std::string>& folders,
                               const std::vector<int64_t>& widths) {
  InversionFiles files;
  for (NamedFile& file : list_files(folders, {".safetensors", ".pt", ".bin"}, "--embedding-dir")) {
    files.table.names.push_back(std::move(file.name));
    files.paths.push_back(std::move(file.path));
  }
  const auto opened = std::make_shared<std::map<size_t, TensorFile>>();
  files.table.vectors = [paths = files.paths, widths, opened](size_t index, size_t encoder) {
    auto known = opened->find(index);
    if (known == opened->end()) {
      known = opened->emplace(index, open_tensor_file(paths.at(index))).first;
    }
    return read_vectors(known->second, encoder, widths);
  };
  return files;
}

}  // namespace fourstep
