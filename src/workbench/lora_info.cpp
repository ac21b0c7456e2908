#include "workbench/lora_info.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/tensor_file.h"
#include "io/weight_files.h"
#include "lora/relative_change.h"
#include "workbench/lora_algebra.h"
#include "workbench/lora_blocks.h"
#include "workbench/lora_content.h"
#include "workbench/lora_styles.h"

namespace fourstep {

namespace {

constexpr int64_t kLargestCount = int64_t{1} << 32;  ///< of a tag, so that no sum overflows

/// Tags with their counts over all folders; values of other types are passed over.
std::map<std::string, int64_t> tag_counts(const std::string& json) {
  std::map<std::string, int64_t> counts;
  const auto folders = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!folders.is_object()) return counts;
  for (const auto& [folder, tags] : folders.items()) {
    if (!tags.is_object()) continue;
    for (const auto& [tag, count] : tags.items()) {
      if (count.is_number_integer())
        counts[tag] += std::clamp<int64_t>(count.get<int64_t>(), 0, kLargestCount);
    }
  }
  return counts;
}

}  // namespace

std::vector<std::pair<std::string, int64_t>> trigger_words(const Metadata& metadata, size_t count) {
  const std::string phrase = entry_of(metadata, "modelspec.trigger_phrase");
  if (!phrase.empty()) return {{phrase, 0}};
  std::vector<std::pair<std::string, int64_t>> words;
  for (const auto& [tag, number] : tag_counts(entry_of(metadata, "ss_tag_frequency")))
    words.emplace_back(tag, number);
  std::stable_sort(words.begin(), words.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  words.resize(std::min(words.size(), count));
  return words;
}

namespace {

constexpr size_t kUnmatchedShown = 5;

std::string shape_kind(const LowRank& m) {
  if (m.mid.defined()) return "LoCon, Tucker";
  return m.down.dim() == 4 ? "LoCon (convolution)" : "LoRA";
}

std::string kind_text(const LoraModule& module) {
  const auto* low = std::get_if<LowRank>(&module.weight);
  const std::string kind = low ? shape_kind(*low) : kind_of(module);
  return module.dora_scale.defined() ? kind + " with DoRA" : kind;
}

void count_weight(const LoraModule& module, LoraInfo& info) {
  ++info.kinds[kind_text(module)];
  const int64_t rank = rank_of(module);
  if (rank == 0) return;
  ++info.ranks[rank];
  ++info.factors[factor_of(module)];
  if (module.alpha) ++info.alphas[*module.alpha];
}

std::string family_text(const FittedLora& lora) {
  if (lora.kind == FitKind::kComplete) return lora.layout.name;
  if (lora.kind == FitKind::kOtherWidths) return lora.layout.name + "'s layout in other widths";
  return lora.match.matched.empty() ? "none that this program knows"
                                    : lora.layout.name + ", in part";
}

void add_blocks(const FittedLora& lora, bool with_norms, LoraInfo& info) {
  std::map<std::string, LoraBlockInfo, BlockOrder> blocks;
  for (const auto& [id, module] : lora.modules()) {
    const std::string name = shown_block(id, lora.layout);
    LoraBlockInfo& block = blocks[name];
    block.block = name;
    ++block.num_modules;
    if (!with_norms) continue;
    if (is_relative(module)) {
      ++info.num_without_norm;
      continue;
    }
    const double norm = norm_squared(module);
    if (!std::isfinite(norm)) {
      throw Error("lora inspect(\"{}\"): {} holds NaN or infinity; the file is damaged",
                  info.path.string(), text_of(id));
    }
    block.norm_squared += norm;
  }
  for (const auto& [name, block] : blocks) info.blocks.push_back(block);
  info.has_norms = with_norms;
}

void add_file_facts(const FittedLora& lora, LoraInfo& info) {
  for (const auto& [name, module] : lora.file.weights) count_weight(module, info);
  for (const auto& [name, module] : lora.file.biases)
    ++info.kinds[is_relative(module) ? "replaced bias" : "bias difference"];
  info.num_matched = 0;
  for (const auto& [component, count] : lora.match.num_matched) info.num_matched += count;
  info.num_modules = lora.match.num_modules;
  info.components = lora.match.num_matched;
  info.cause = lora.match.likely_cause;
  info.notes = lora.match.notes;
  for (const UnmatchedModule& module : lora.match.unmatched) {
    if (info.first_unmatched.size() < kUnmatchedShown) info.first_unmatched.push_back(module.name);
  }
}

void add_embedding_counts(const LoraFile& file, LoraInfo& info) {
  for (const auto& [name, parts] : file.embeddings) {
    std::map<std::string, int64_t>& counts = info.embeddings[name];
    for (const auto& [part, tensor] : parts)
      counts[part] = tensor.dim() < 2 ? 1 : tensor.numel() / std::max<int64_t>(tensor.size(-1), 1);
  }
}

void add_metadata_facts(const Metadata& metadata, LoraInfo& info) {
  info.metadata = metadata;
  info.title = first_entry(metadata, {"modelspec.title", "ss_output_name"});
  info.licence = licence_of(metadata);
  info.base_model = first_entry(
      metadata, {"ss_base_model_version", "modelspec.architecture", "ss_sd_model_name"});
  info.trigger_words = trigger_words(metadata);
}

}  // namespace

LoraInfo describe_lora(const std::filesystem::path& path, const std::vector<LoraLayout>& layouts,
                       bool with_norms) {
  const LoraSource source = open_lora_source(path);
  const FittedLora lora =
      fit_lora(parse_lora(source.file, source.peft, ValueCheck::kNone), layouts);
  LoraInfo info;
  info.path = path;
  info.family = family_text(lora);
  info.num_tensors = source.file.tensors.size();
  std::vector<std::string> keys;
  for (const auto& [key, tensor] : source.file.tensors) {
    keys.push_back(key);
    const FileDtype* dtype = find_file_dtype(tensor.scalar_type());
    ++info.dtypes[dtype ? std::string(dtype->name) : "other"];
  }
  info.style = describe_style(lora.file.module_names(), keys);
  add_file_facts(lora, info);
  add_embedding_counts(lora.file, info);
  add_blocks(lora, with_norms, info);
  add_metadata_facts(source.file.metadata, info);
  return info;
}

void add_hashes(LoraInfo& info, const std::vector<LoraLayout>& layouts,
                const HashProgress& progress) {
  if (is_whole_file(info.path)) info.hashes = compute_hashes(info.path, progress);
  info.content = content_hash(fit_lora(open_lora(info.path, ValueCheck::kNone), layouts));
}

}  // namespace fourstep
