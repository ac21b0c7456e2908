#include "io/weight_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <regex>
#include <set>

#include "base/error.h"
#include "base/fields.h"
#include "base/text_tools.h"
#include "io/fields_json.h"

namespace fourstep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::array<const char*, 3> kUsualStems = {"diffusion_pytorch_model", "model",
                                                    "pytorch_model"};
constexpr const char* kDiffusersStem = kUsualStems[0];

using Shards = std::map<int64_t, fs::path>;  ///< by number, from 1

/// The files of a folder whose names differ in shard numbers alone.
struct WeightSet {
  std::string stem;
  fs::path whole, index;
  std::map<int64_t, Shards> shards;  ///< by how many there should be
};

/// What is to be read of a set, or why nothing is.
struct Choice {
  WeightFiles files;
  std::string refusal;
};

/// The part of a file name that tells sets apart, and the order in which sets are tried.
struct SetKey {
  bool is_unusual = false;
  int variant_rank = 0;  ///< none, "fp16", others
  int extension_rank = 0;
  std::string stem, variant;

  auto operator<=>(const SetKey&) const = default;
};

struct ParsedName {
  SetKey key;
  std::optional<ShardName> shard;
  bool is_index = false;
};

/// "model.fp16" -> "model" and "fp16".
void set_stem(SetKey& key, const std::string& name) {
  constexpr const char* kHalf = "fp16";
  key.is_unusual = true;
  key.stem = name;
  for (const std::string stem : kUsualStems) {
    if (name != stem && !name.starts_with(stem + ".")) continue;
    key.is_unusual = false;
    key.stem = stem;
    if (name != stem) key.variant = name.substr(stem.size() + 1);
  }
  if (key.is_unusual && name.ends_with(std::string(".") + kHalf)) {
    key.stem = name.substr(0, name.rfind('.'));
    key.variant = kHalf;
  }
  key.variant_rank = key.variant.empty() ? 0 : key.variant == kHalf ? 1 : 2;
}

/// "model.safetensors.index.fp16.json" -> "model.fp16"; the container goes into the key.
std::optional<ParsedName> parse_index_name(const std::string& file_name) {
  std::vector<std::string> parts = split_text(file_name, '.');
  const auto index = std::find(parts.begin(), parts.end(), "index");
  if (parts.size() < 3 || parts.back() != "json" || index == parts.end()) return std::nullopt;
  parts.erase(index);
  parts.pop_back();
  ParsedName parsed;
  parsed.is_index = true;
  parsed.key.extension_rank = std::erase(parts, "bin") > 0 ? 1 : 0;
  std::erase(parts, "safetensors");
  set_stem(parsed.key, fmt::format("{}", fmt::join(parts, ".")));
  return parsed;
}

/// Nothing for files that are no weights.
std::optional<ParsedName> parse_name(const std::string& file_name) {
  if (file_name.ends_with(".json")) return parse_index_name(file_name);
  const fs::path path(file_name);
  const bool is_pickle = path.extension() == ".bin";
  if (!is_pickle && path.extension() != ".safetensors") return std::nullopt;
  ParsedName parsed;
  parsed.shard = shard_name(file_name);
  parsed.key.extension_rank = is_pickle ? 1 : 0;
  set_stem(parsed.key, stem_without_shard(path));
  // Optimisers and others write .bin files of their own.
  if (is_pickle && parsed.key.is_unusual && !parsed.shard) return std::nullopt;
  return parsed;
}

std::map<SetKey, WeightSet> weight_sets(const fs::path& folder) {
  std::map<SetKey, WeightSet> sets;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto parsed = parse_name(entry.path().filename().string());
    if (!parsed || !entry.is_regular_file()) continue;
    WeightSet& set = sets[parsed->key];
    set.stem = parsed->key.stem;
    if (parsed->is_index)
      set.index = entry.path();
    else if (parsed->shard)
      set.shards[parsed->shard->count][parsed->shard->number] = entry.path();
    else
      set.whole = entry.path();
  }
  return sets;
}

std::string shard_file(const ShardName& name, int64_t number, size_t digits) {
  return fmt::format("{}{:0{}}-of-{:0{}}{}", name.before, number, digits, name.count, digits,
                     name.after);
}

/// The shards that the name of one of them tells of.
Choice all_shards(const fs::path& one) {
  const std::string file_name = one.filename().string();
  const ShardName name = shard_name(file_name).value();
  const size_t digits =
      (file_name.size() - name.before.size() - name.after.size() - std::string("-of-").size()) / 2;
  Choice choice;
  std::vector<std::string> missing;
  for (int64_t number = 1; number <= name.count; ++number) {
    const fs::path path = one.parent_path() / shard_file(name, number, digits);
    choice.files.files.push_back(path);
    if (!fs::exists(path)) missing.push_back(path.filename().string());
  }
  if (!missing.empty()) {
    choice.refusal = fmt::format("{} of {} shards are missing ({}); download all of them",
                                 missing.size(), name.count, join_first(missing));
  }
  return choice;
}

/// By the names of the shards; those of one count, should there be several.
Choice from_numbers(const WeightSet& set) {
  std::vector<Choice> whole, broken;
  for (const auto& [count, shards] : set.shards) {
    Choice choice = all_shards(shards.begin()->second);
    (choice.refusal.empty() ? whole : broken).push_back(std::move(choice));
  }
  if (whole.size() > 1) {
    whole[0].refusal = fmt::format(
        "\"{}\" and \"{}\" are of two sets of shards, and no index tells which counts; "
        "remove one",
        whole[0].files.files[0].filename().string(), whole[1].files.files[0].filename().string());
  }
  return whole.empty() ? broken.front() : whole.front();
}

std::map<std::string, std::string> read_placing(const fs::path& index) {
  const json object = read_json_object(index);
  const auto map = object.find("weight_map");
  if (map == object.end() || !map->is_object() || map->empty())
    throw Error("\"{}\": key \"weight_map\" is missing", index.string());
  std::map<std::string, std::string> placing;
  for (const auto& [tensor, file] : map->items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || name == ".." || fs::path(name).filename() != name)
      throw Error("\"{}\": a shard must be named by a plain file name", index.string());
    placing[tensor] = name;
  }
  return placing;
}

/// The files that the index names, and the shards that it forgot.
Choice from_index(const fs::path& index) {
  Choice choice;
  choice.files.index = index;
  choice.files.placing = read_placing(index);
  std::set<fs::path> files;
  for (const auto& [tensor, name] : choice.files.placing) {
    const fs::path path = index.parent_path() / name;
    if (!files.insert(path).second) continue;
    if (!fs::exists(path)) {
      choice.refusal =
          fmt::format("the shard \"{}\", which \"{}\" names, is missing; download the folder whole",
                      name, index.filename().string());
      return choice;
    }
    if (!shard_name(name)) continue;
    const Choice all = all_shards(path);
    if (!all.refusal.empty()) choice.refusal = all.refusal;
    files.insert(all.files.files.begin(), all.files.files.end());
  }
  choice.files.files.assign(files.begin(), files.end());
  return choice;
}

Choice from_whole(const WeightSet& set) {
  Choice choice;
  choice.files.files = {set.whole};
  return choice;
}

/// What is there of a set, in the order of the program that it is of.
std::vector<Choice> choices_of(const WeightSet& set) {
  std::vector<Choice> choices;
  if (!set.whole.empty()) choices.push_back(from_whole(set));
  if (!set.index.empty()) choices.push_back(from_index(set.index));
  if (!set.shards.empty()) choices.push_back(from_numbers(set));
  if (set.stem == kDiffusersStem && !set.whole.empty() && !set.index.empty())
    std::swap(choices[0], choices[1]);
  return choices;
}

std::string first_file(const Choice& choice) {
  const WeightFiles& files = choice.files;
  return (files.index.empty() ? files.files.front() : files.index).filename().string();
}

/// The first choice without a refusal. Says what was left aside for it.
WeightFiles choose(const fs::path& folder, const std::vector<WeightSet>& sets) {
  std::string first_refusal;
  for (const WeightSet& set : sets) {
    const std::vector<Choice> choices = choices_of(set);
    for (const Choice& choice : choices) {
      if (!choice.refusal.empty()) {
        if (first_refusal.empty()) first_refusal = choice.refusal;
        continue;
      }
      WeightFiles files = choice.files;
      if (!first_refusal.empty()) {
        files.notice = fmt::format("\"{}\": {}; \"{}\" is read instead", folder.string(),
                                   first_refusal, first_file(choice));
      } else if (!set.whole.empty() && choices.size() > 1) {
        files.notice =
            fmt::format("\"{}\": holds the same weights twice; \"{}\" is read, \"{}\" is not",
                        folder.string(), first_file(choice), first_file(choices[1]));
      }
      return files;
    }
  }
  throw Error("\"{}\": {}", folder.string(), first_refusal);
}

/// Those with usual names; else the one that has an index or shards; else the one that there is.
std::vector<WeightSet> eligible(const std::map<SetKey, WeightSet>& all) {
  std::vector<WeightSet> usual, in_parts, others;
  for (const auto& [key, set] : all) {
    const bool is_in_parts = !set.index.empty() || !set.shards.empty();
    (!key.is_unusual ? usual : is_in_parts ? in_parts : others).push_back(set);
  }
  if (!usual.empty()) return usual;
  return in_parts.empty() ? others : in_parts;
}

bool is_equal(const Tensor& a, const Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         torch::equal(aligned(a), aligned(b));
}

/// Adds a shard's tensors. One that is there already must be the same, unless the index places it.
void add_shard(TensorFile& all, const fs::path& path, const WeightFiles& files) {
  const TensorFile shard = open_one_tensor_file(path);
  for (const auto& [name, tensor] : shard.tensors) {
    const auto [place, is_new] = all.tensors.emplace(name, tensor);
    if (is_new) continue;
    const auto placed = files.placing.find(name);
    if (placed != files.placing.end()) {
      if (placed->second == path.filename()) place->second = tensor;
    } else if (!is_equal(place->second, tensor)) {
      throw Error("\"{}\": the tensor \"{}\" is in an earlier shard too, with other values",
                  path.string(), name);
    }
  }
  all.metadata.insert(shard.metadata.begin(), shard.metadata.end());
  all.foreign_types.insert(shard.foreign_types.begin(), shard.foreign_types.end());
}

}  // namespace

std::optional<ShardName> shard_name(const std::string& file_name) {
  // Five digits in every writer known; fewer than four would be anybody's "1-of-3".
  static const std::regex kPattern(R"(^(.*?)([0-9]{4,9})-of-([0-9]{4,9})(.*)$)");
  std::smatch match;
  if (!std::regex_match(file_name, match, kPattern)) return std::nullopt;
  constexpr int64_t kMost = 1000;
  ShardName name{match[1], match[4], std::stoll(match[2]), std::stoll(match[3])};
  const bool is_sound = match[2].length() == match[3].length() && name.number >= 1 &&
                        name.number <= name.count && name.count <= kMost;
  return is_sound ? std::optional(std::move(name)) : std::nullopt;
}

bool is_whole_file(const fs::path& path) {
  const auto shard = shard_name(path.filename().string());
  return !fs::is_directory(path) && !(shard && shard->count > 1);
}

std::string stem_without_shard(const fs::path& file) {
  const auto name = shard_name(file.filename().string());
  if (!name) return file.stem().string();
  const std::string before = name->before;
  const size_t end = before.find_last_not_of("-_.");
  return fs::path(before.substr(0, end + 1) + name->after).stem().string();
}

WeightFiles weight_files_of(const fs::path& file) {
  if (!shard_name(file.filename().string())) return {{file}, {}, {}, {}};
  const Choice choice = all_shards(file);
  if (choice.refusal.empty()) return choice.files;
  throw Error("\"{}\": {}", file.string(), choice.refusal);
}

bool has_usual_weights(const fs::path& folder) {
  const auto sets = weight_sets(folder);
  return std::any_of(sets.begin(), sets.end(), [](const auto& item) {
    const auto& [key, set] = item;
    return !key.is_unusual || !set.index.empty() || !set.shards.empty();
  });
}

WeightFiles find_weight_files(const fs::path& folder) {
  const std::vector<WeightSet> sets = eligible(weight_sets(folder));
  if (sets.empty()) {
    throw Error(
        "\"{}\": no weights (expected {}.safetensors or its shards); download the folder whole",
        folder.string(), kDiffusersStem);
  }
  const bool is_usual =
      std::find(kUsualStems.begin(), kUsualStems.end(), sets[0].stem) != kUsualStems.end();
  if (sets.size() > 1 && !is_usual) {
    throw Error(
        "\"{}\": holds weights named \"{}\" and \"{}\" and no index that tells what belongs "
        "together; name the file itself",
        folder.string(), sets[0].stem, sets[1].stem);
  }
  return choose(folder, sets);
}

TensorFile read_weight_files(const WeightFiles& files) {
  TensorFile all = open_one_tensor_file(files.files.front());
  for (size_t i = 1; i < files.files.size(); ++i) add_shard(all, files.files[i], files);
  all.num_files = files.files.size();
  for (const auto& [name, file] : files.placing) {
    if (all.tensors.count(name)) continue;
    throw Error("\"{}\": no tensor \"{}\", which \"{}\" expects there",
                (files.index.parent_path() / file).string(), name, files.index.string());
  }
  return all;
}

}  // namespace fourstep
