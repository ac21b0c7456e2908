#include "pipeline/textual_inversions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/text_tools.h"
#include "io/file_search.h"
#include "io/tensor_file.h"

namespace fourstep {

namespace {

/// Vectors of this width, alone or in rows; some trainers keep a dimension of one in front.
bool are_vectors(const Tensor& t, int64_t width) {
  const bool is_row = t.dim() == 1 || t.dim() == 2 || (t.dim() == 3 && t.size(0) == 1);
  return is_row && t.size(-1) == width && t.is_floating_point() && t.numel() > 0;
}

/// The tensor of one encoder; undefined when the file has none.
Tensor find_tensor(const NamedTensors& tensors, size_t encoder, int64_t width) {
  const auto named = tensors.find(encoder == 0 ? "clip_l" : "clip_g");
  if (named != tensors.end()) return are_vectors(named->second, width) ? named->second : Tensor();
  for (const auto& [name, tensor] : tensors) {
    if (are_vectors(tensor, width)) return tensor;
  }
  return {};
}

/// Half a sentence on whose vectors the file has, by the widths of the published text encoders.
std::string describe_widths(const NamedTensors& tensors) {
  const auto has = [&](int64_t width) {
    return std::any_of(tensors.begin(), tensors.end(),
                       [&](const auto& item) { return are_vectors(item.second, width); });
  };
  const bool has_clip = has(768), has_bigg = has(1280);
  if (has_clip && has_bigg) return "these are for SDXL (768 and 1280)";
  if (has_clip) return "these are for SD 1.5 (CLIP-L, 768)";
  if (has(1024)) return "these are for SD 2 (OpenCLIP ViT-H, 1024)";
  if (has_bigg) return "these are for the second text encoder of SDXL alone (OpenCLIP bigG, 1280)";
  return "is it for another model family?";
}

Tensor read_vectors(const TensorFile& file, size_t encoder, const std::vector<int64_t>& widths) {
  const int64_t width = widths.at(encoder);
  const Tensor found = find_tensor(file.tensors, encoder, width);
  if (!found.defined()) {
    throw Error("{}: no vectors of width {} for text encoder {}; it holds {}; {}",
                file.path.string(), width, encoder + 1, shapes_of(file.tensors),
                describe_widths(file.tensors));
  }
  const Tensor vectors = aligned(found).reshape({-1, width}).to(torch::kFloat32);
  if (vectors.size(0) > kChunkTokens) {
    throw Error("{}: {} vectors, a prompt has room for {} at most", file.path.string(),
                vectors.size(0), kChunkTokens);
  }
  return vectors;
}

/// Where a name's vectors come from: a file to open, or tensors of a LoRA.
struct InversionSource {
  std::filesystem::path path;
  TensorFile bundled;
};

TensorFile bundled_file(const InversionBundle& bundle, const std::string& name,
                        const NamedTensors& parts) {
  TensorFile file;
  file.path = bundle.lora / name;
  for (const auto& [part, tensor] : parts) {
    if (!is_output_part(part)) file.tensors[part] = tensor;
  }
  return file;
}

/// What prompts call it: without sub-folder, in lower case.
std::string called_name(const std::string& name) {
  return lower_ascii(name.substr(name.rfind('/') + 1));
}

}  // namespace

InversionFiles open_inversions(const std::vector<std::string>& folders,
                               const std::vector<int64_t>& widths,
                               const std::vector<InversionBundle>& bundles) {
  InversionFiles files;
  std::vector<InversionSource> sources;
  std::map<std::string, std::string> owners;  // by called_name(): where it is, for notes
  for (NamedFile& file : list_files(folders, {".safetensors", ".pt", ".bin"}, "--embedding-dir")) {
    owners.emplace(called_name(file.name), file.path.filename().string() + " of --embedding-dir");
    files.table.names.push_back(std::move(file.name));
    files.paths.push_back(file.path);
    sources.push_back({std::move(file.path), {}});
  }
  for (const InversionBundle& bundle : bundles) {
    const std::string lora = bundle.lora.filename().string();
    for (const auto& [name, parts] : bundle.embeddings) {
      const auto [owner, is_new] = owners.emplace(called_name(name), lora);
      if (!is_new && owner->second != lora) {
        files.notes.push_back(
            fmt::format("embedding \"{}\": that of {} is used, not the one bundled in {}", name,
                        owner->second, lora));
        continue;
      }
      files.table.names.push_back(name);
      files.paths.emplace_back();
      sources.push_back({{}, bundled_file(bundle, name, parts)});
    }
  }
  const auto opened = std::make_shared<std::map<size_t, TensorFile>>();
  files.table.vectors = [sources = std::move(sources), widths, opened](size_t index,
                                                                       size_t encoder) {
    const InversionSource& source = sources.at(index);
    if (source.path.empty()) return read_vectors(source.bundled, encoder, widths);
    auto known = opened->find(index);
    if (known == opened->end()) known = opened->emplace(index, open_tensor_file(source.path)).first;
    return read_vectors(known->second, encoder, widths);
  };
  return files;
}

}  // namespace fourstep
