// How lora_info.h is shown.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "io/text_encoding.h"
#include "report/svg_plot.h"
#include "report/table.h"
#include "workbench/lora_info.h"

namespace fourstep {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kValueBytes = 200;  ///< of a metadata value that are shown

std::string line(const std::string& label, const std::string& value) {
  return value.empty() ? "" : fmt::format("{:<16}{}\n", label, value);
}

/// A text from the file; "" stays "".
std::string foreign(const std::string& text) {
  return text.empty() ? "" : printable(text, kValueBytes);
}

/// "64", or with several values "64 (722), 32 (66)".
template <typename Key>
std::string counts_text(const std::map<Key, size_t>& counts) {
  if (counts.size() == 1) return fmt::format("{}", counts.begin()->first);
  constexpr size_t kShown = 8;
  std::vector<std::string> parts;
  for (const auto& [value, count] : counts) {
    if (parts.size() == kShown) {
      parts.push_back(fmt::format("and {} more", counts.size() - kShown));
      break;
    }
    parts.push_back(fmt::format("{} ({})", value, count));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string components_text(const LoraInfo& info) {
  std::vector<std::string> parts;
  for (const auto& [component, count] : info.components)
    parts.push_back(fmt::format("{} {}", count, to_string(component)));
  const bool has_text = info.components.count(Component::kTextEncoder) != 0 ||
                        info.components.count(Component::kTextEncoder2) != 0;
  if (!has_text) parts.emplace_back("no text-encoder part");
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string modules_text(const LoraInfo& info) {
  std::string text = line("modules", fmt::format("{}/{} matched ({})", info.num_matched,
                                                 info.num_modules, components_text(info)));
  for (const std::string& name : info.first_unmatched) text += line("  unmatched", foreign(name));
  text += line("  cause", info.cause);
  text += line("kinds", counts_text(info.kinds));
  text += line("rank", counts_text(info.ranks));
  text += line("alpha", info.alphas.empty() && !info.ranks.empty() ? "none stored"
                                                                   : counts_text(info.alphas));
  text += line("alpha / rank", counts_text(info.factors));
  return text + line("tensors", fmt::format("{}, {}", info.num_tensors, counts_text(info.dtypes)));
}

double total_norm(const LoraInfo& info) {
  double sum = 0;
  for (const LoraBlockInfo& block : info.blocks) sum += block.norm_squared;
  return std::sqrt(sum);
}

std::string blocks_text(const LoraInfo& info) {
  Table table{{{"block"}, {"modules", Align::kRight}}, {}};
  if (info.has_norms) table.columns.push_back({"norm", Align::kRight});
  for (const LoraBlockInfo& block : info.blocks) {
    table.rows.push_back({block.block, std::to_string(block.num_modules)});
    if (info.has_norms)
      table.rows.back().push_back(fmt::format("{:.5g}", std::sqrt(block.norm_squared)));
  }
  if (info.has_norms)
    table.rows.push_back(
        {"all", std::to_string(info.num_matched), fmt::format("{:.5g}", total_norm(info))});
  std::string text = "\n" + text_from_table(table);
  if (info.num_without_norm > 0) {
    text +=
        fmt::format("the norms leave out {} modules, whose change depends on the model's weights\n",
                    info.num_without_norm);
  }
  return text;
}

std::string hashes_text(const LoraInfo& info) {
  std::string text;
  if (info.hashes) {
    text += line("sha256", info.hashes->sha256) +
            line("AutoV1", info.hashes->auto_v1 + " (addnet's legacy hash)") +
            line("AutoV2", info.hashes->auto_v2) +
            line("AutoV3, addnet", info.hashes->auto_v3.value_or(""));
  }
  return text + line("content", info.content.value_or(""));
}

std::string words_text(const LoraInfo& info) {
  std::vector<std::string> words;
  for (const auto& [word, count] : info.trigger_words)
    words.push_back(count == 0 ? foreign(word) : fmt::format("{} ({})", foreign(word), count));
  return fmt::format("{}", fmt::join(words, ", "));
}

/// `"mytok": vectors "clip_g" 2, "clip_l" 2`, a line for each.
std::string embeddings_text(const LoraInfo& info) {
  std::string text;
  for (const auto& [name, parts] : info.embeddings) {
    std::vector<std::string> counts;
    for (const auto& [part, count] : parts)
      counts.push_back(fmt::format("{} {}", foreign(part), count));
    text +=
        line("embedding", fmt::format("{}: vectors {}", foreign(name), fmt::join(counts, ", ")));
  }
  return text;
}

template <typename Key>
Json counts_json(const std::map<Key, size_t>& counts) {
  Json json = Json::array();
  for (const auto& [value, count] : counts) json.push_back({{"value", value}, {"count", count}});
  return json;
}

Json blocks_json(const LoraInfo& info) {
  Json json = Json::array();
  for (const LoraBlockInfo& block : info.blocks) {
    json.push_back({{"block", block.block}, {"modules", block.num_modules}});
    if (info.has_norms) json.back()["norm"] = std::sqrt(block.norm_squared);
  }
  return json;
}

Json hashes_json(const LoraInfo& info) {
  Json json = Json::object();
  if (info.hashes) {
    json = {{"sha256", info.hashes->sha256},
            {"auto_v1", info.hashes->auto_v1},
            {"auto_v2", info.hashes->auto_v2}};
    if (info.hashes->auto_v3) json["auto_v3"] = *info.hashes->auto_v3;
  }
  if (info.content) json["content"] = *info.content;
  return json;
}

/// All blocks of all files in the order of the first file that has them.
std::vector<std::string> all_blocks(const std::vector<LoraInfo>& files) {
  std::vector<std::string> blocks;
  std::set<std::string> known;
  for (const LoraInfo& info : files) {
    for (const LoraBlockInfo& block : info.blocks) {
      if (known.insert(block.block).second) blocks.push_back(block.block);
    }
  }
  return blocks;
}

double bar_value(const LoraInfo& info, const std::string& name, bool is_norm) {
  for (const LoraBlockInfo& block : info.blocks) {
    if (block.block != name) continue;
    return is_norm ? std::sqrt(block.norm_squared) : static_cast<double>(block.num_modules);
  }
  return 0;
}

}  // namespace

std::string lora_info_text(const LoraInfo& info) {
  std::string text = line("file", printable(info.path.string(), 2 * kValueBytes));
  text += line("title", foreign(info.title));
  text += line("family", info.family) + line("key style", info.style) + modules_text(info);
  text += embeddings_text(info);
  for (const std::string& note : info.notes) text += line("note", note);
  text += line("trained on", foreign(info.base_model));
  text += line("licence", info.licence.empty() ? "not stated" : foreign(info.licence));
  text += line("trigger words", words_text(info)) + hashes_text(info);
  for (const auto& [key, value] : info.metadata)
    text += line("metadata", foreign(key) + " = " + foreign(value));
  return info.blocks.empty() ? text : text + blocks_text(info);
}

std::string lora_info_json(const LoraInfo& info) {
  Json components = Json::object(), words = Json::array();
  for (const auto& [component, count] : info.components) components[to_string(component)] = count;
  for (const auto& [word, count] : info.trigger_words)
    words.push_back({{"word", word}, {"count", count}});
  Json json = {{"path", info.path.string()},
               {"title", info.title},
               {"family", info.family},
               {"style", info.style},
               {"modules", info.num_modules},
               {"matched", info.num_matched},
               {"components", components},
               {"first_unmatched", info.first_unmatched},
               {"cause", info.cause},
               {"kinds", counts_json(info.kinds)},
               {"ranks", counts_json(info.ranks)},
               {"alphas", counts_json(info.alphas)},
               {"factors", counts_json(info.factors)},
               {"tensors", info.num_tensors},
               {"dtypes", counts_json(info.dtypes)},
               {"blocks", blocks_json(info)},
               {"embeddings", info.embeddings},
               {"notes", info.notes},
               {"base_model", info.base_model},
               {"licence", info.licence},
               {"trigger_words", words},
               {"hashes", hashes_json(info)},
               {"metadata", info.metadata}};
  if (info.has_norms) json["norm"] = total_norm(info);
  if (info.has_norms) json["modules_without_norm"] = info.num_without_norm;
  // Names in files need not be UTF-8: what is not becomes U+FFFD.
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string lora_blocks_svg(const std::vector<LoraInfo>& files) {
  BarPlot plot;
  bool is_norm = true;
  for (const LoraInfo& info : files) is_norm = is_norm && info.has_norms;
  plot.title = is_norm ? "Norm of what each block gets" : "Modules per block";
  plot.value.label = is_norm ? "norm" : "modules";
  plot.groups = all_blocks(files);
  plot.width_px = 960;
  for (const LoraInfo& info : files) {
    BarSeries series{info.path.filename().string(), {}};
    for (const std::string& block : plot.groups)
      series.values.push_back(bar_value(info, block, is_norm));
    plot.series.push_back(std::move(series));
  }
  return bar_plot_svg(plot);
}

}  // namespace fourstep
