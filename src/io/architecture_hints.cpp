#include "io/architecture_hints.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "base/error.h"
#include "io/fields_json.h"

namespace fourstep {
namespace {

using nlohmann::json;

/// Calls visit(name, field) for each hint; the single list of their names.
template <typename Hints, typename Visit>
void visit_hints(Hints& hints, const Visit& visit) {
  visit("unet_heads", hints.unet_heads);
  visit("text_heads", hints.text_heads);
  visit("text_heads_2", hints.text_heads_2);
  visit("text_activation", hints.text_activation);
  visit("text_activation_2", hints.text_activation_2);
  visit("vae_scaling_factor", hints.vae_scaling_factor);
  visit("vae_force_upcast", hints.vae_force_upcast);
}

/// False when `text` is not wholly a positive number.
template <typename Number>
bool parse_number(const std::string& text, Number& value) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end || !(number > 0)) return false;
  value = number;
  return true;
}

void parse(const std::string& text, int64_t& value) { parse_number(text, value); }
void parse(const std::string& text, double& value) { parse_number(text, value); }
void parse(const std::string& text, std::string& value) { value = text; }

void parse(const std::string& text, std::optional<bool>& value) {
  if (text == "true" || text == "false") value = text == "true";
}

void parse(const std::string& text, std::vector<int64_t>& values) {
  std::vector<int64_t> numbers;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    if (!parse_number(text.substr(begin, comma - begin), numbers.emplace_back())) return;
    begin = comma + 1;
  }
  values = numbers;
}

std::string text_of(int64_t value) { return value == 0 ? "" : fmt::format("{}", value); }
std::string text_of(double value) { return value == 0 ? "" : fmt::format("{}", value); }
std::string text_of(const std::string& value) { return value; }
std::string text_of(const std::optional<bool>& value) {
  return value ? (*value ? "true" : "false") : "";
}
std::string text_of(const std::vector<int64_t>& values) {
  return fmt::format("{}", fmt::join(values, ","));
}

/// `attention_head_dim`: one number for all levels, or one per level.
std::vector<int64_t> heads_of(const json& config, const std::filesystem::path& path) {
  const auto heads = config.find("attention_head_dim");
  if (heads == config.end() || !heads->is_number_integer())
    return json_value<std::vector<int64_t>>(config, "attention_head_dim", {}, path);
  const auto channels = json_value<std::vector<int64_t>>(config, "block_out_channels", {}, path);
  return std::vector<int64_t>(channels.size(), heads->get<int64_t>());
}

/// All published models have 32; the shapes of the weights do not show another number.
void check_norm_groups(const json& config, const std::filesystem::path& path) {
  constexpr int64_t kGroups = 32;
  const auto groups = json_value<int64_t>(config, "norm_num_groups", kGroups, path);
  if (groups == kGroups) return;
  throw Error(
      "\"{}\": key \"norm_num_groups\" is {}, only models with {} groups can be sampled here",
      path.string(), groups, kGroups);
}

void add_unet_hints(const json& config, const std::filesystem::path& path,
                    ArchitectureHints& hints) {
  hints.unet_heads = heads_of(config, path);
  check_norm_groups(config, path);
}

void add_vae_hints(const json& config, const std::filesystem::path& path,
                   ArchitectureHints& hints) {
  check_norm_groups(config, path);
  hints.vae_scaling_factor = json_value<double>(config, "scaling_factor", 0, path);
  if (config.contains("force_upcast"))
    hints.vae_force_upcast = json_value<bool>(config, "force_upcast", true, path);
}

}  // namespace

void add_config_hints(Component component, const std::filesystem::path& config_json,
                      ArchitectureHints& hints) {
  if (!std::filesystem::exists(config_json)) return;
  const json config = read_json_object(config_json);
  if (component == Component::kUnet) return add_unet_hints(config, config_json, hints);
  if (component == Component::kVae) return add_vae_hints(config, config_json, hints);
  const bool is_second = component == Component::kTextEncoder2;
  (is_second ? hints.text_heads_2 : hints.text_heads) =
      json_value<int64_t>(config, "num_attention_heads", 0, config_json);
  (is_second ? hints.text_activation_2 : hints.text_activation) =
      json_value<std::string>(config, "hidden_act", "", config_json);
}

ArchitectureHints hints_from_metadata(const Metadata& metadata) {
  ArchitectureHints hints;
  visit_hints(hints, [&](const std::string& name, auto& value) {
    const auto found = metadata.find("fourstep." + name);
    if (found != metadata.end()) parse(found->second, value);
  });
  return hints;
}

Metadata metadata_from_hints(const ArchitectureHints& hints) {
  Metadata metadata;
  visit_hints(hints, [&](const std::string& name, const auto& value) {
    if (const std::string text = text_of(value); !text.empty()) metadata["fourstep." + name] = text;
  });
  return metadata;
}

}  // namespace fourstep
