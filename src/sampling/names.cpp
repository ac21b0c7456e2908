#include "sampling/names.h"

#include <algorithm>
#include <array>
#include <optional>

#include "sampling/diffusers_settings.h"
#include "sampling/plain_name.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"

namespace fourstep {

namespace {

constexpr std::string_view kAutomatic = "automatic";
constexpr std::string_view kClassEnding = "scheduler";

/// What a name stands for; the schedule is empty but for names that fix one.
struct Meaning {
  std::string_view sampler, schedule;
};

/// "unipc_k>karras" in its two halves.
NameAlias divided_alias(std::string_view text) {
  const size_t mark = text.find('>');
  return {text.substr(0, mark),
          mark == std::string_view::npos ? std::string_view() : text.substr(mark + 1)};
}

/// By a name of the program itself, of A1111, of others, and last by the classes of diffusers, so that the ambiguous
/// "UniPC" is A1111's and not the class without its endings.
std::optional<Meaning> find_without_prefix(std::string_view wanted) {
  const auto rows = sampler_rows();
  for (const SamplerRow& row : rows) {
    const bool is_known = plain_name(row.name) == wanted || plain_name(row.names.a1111) == wanted;
    if (is_known && !wanted.empty()) return Meaning{row.name, {}};
  }
  for (const SamplerRow& row : rows) {
    for (const std::string_view text : names_in(row.names.others)) {
      const auto [alias, schedule] = divided_alias(text);
      if (plain_name(alias) == wanted) return Meaning{row.name, schedule};
    }
  }
  for (const SamplerRow& row : rows) {
    for (const std::string_view name : names_in(row.names.diffusers)) {
      if (is_class_spelling(name, wanted)) return Meaning{row.name, {}};
    }
  }
  return std::nullopt;
}

std::optional<Meaning> find_sampler_meaning(std::string_view wanted) {
  const auto meaning = find_without_prefix(wanted);
  if (meaning || !wanted.starts_with('k')) return meaning;
  return find_without_prefix(wanted.substr(1));  // k-diffusion's prefix: k_euler_a
}

std::optional<std::string_view> find_schedule_name(std::string_view wanted) {
  if (wanted == kAutomatic || wanted == "auto") return kAutomatic;
  for (const ScheduleRow& row : schedule_rows()) {
    if (plain_name(row.name) == wanted) return row.name;
  }
  for (const ScheduleRow& row : schedule_rows()) {
    if (wanted.empty()) break;
    if (plain_name(row.names.a1111) == wanted) return row.name;
    for (const std::string_view name : names_in(row.names.others)) {
      if (plain_name(name) == wanted) return row.name;
    }
  }
  return std::nullopt;
}

template <size_t kCount>
bool is_one_of(std::string_view name, const std::array<std::string_view, kCount>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::optional<SamplerAndSchedule> split_plain(std::string_view all) {
  if (const auto meaning = find_sampler_meaning(all)) {
    return SamplerAndSchedule{std::string(meaning->sampler), std::string(meaning->schedule)};
  }
  // From the longest schedule down, so that "SGM Uniform" is not taken for "Uniform".
  for (size_t length = 1; length < all.size(); ++length) {
    const auto meaning = find_sampler_meaning(all.substr(0, length));
    const auto schedule = meaning ? find_schedule_name(all.substr(length)) : std::nullopt;
    if (schedule && meaning->schedule.empty()) {
      return SamplerAndSchedule{std::string(meaning->sampler),
                                schedule_name(*schedule, meaning->sampler)};
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<NameAlias> sampler_aliases() {
  std::vector<NameAlias> aliases;
  for (const SamplerRow& row : sampler_rows()) {
    if (!row.names.a1111.empty()) aliases.push_back({row.names.a1111, row.name});
    for (const auto name : names_in(row.names.diffusers)) aliases.push_back({name, row.name});
    for (const auto name : names_in(row.names.others)) {
      aliases.push_back({divided_alias(name).alias, row.name});
    }
  }
  return aliases;
}

std::vector<NameAlias> schedule_aliases() {
  std::vector<NameAlias> aliases;
  for (const ScheduleRow& row : schedule_rows()) {
    if (!row.names.a1111.empty()) aliases.push_back({row.names.a1111, row.name});
    for (const auto name : names_in(row.names.others)) aliases.push_back({name, row.name});
  }
  return aliases;
}

std::string sampler_name(std::string_view name) {
  const auto meaning = find_sampler_meaning(plain_name(name));
  return std::string(meaning ? meaning->sampler : name);
}

std::string schedule_name(std::string_view name, std::string_view sampler) {
  const std::string_view found = find_schedule_name(plain_name(name)).value_or(name);
  return std::string(found == kAutomatic ? automatic_schedule(sampler) : found);
}

SamplerAndSchedule split_sampler_name(std::string_view text) {
  constexpr size_t kLongest = 400;
  const DiffusersSettings settings = take_diffusers_settings(text.substr(0, kLongest));
  const auto found = split_plain(plain_name(settings.class_name));
  if (!found) return {std::string(text), ""};
  return settings.settings.empty() ? *found : with_diffusers_settings(*found, settings);
}

bool is_diffusers_class(std::string_view text) {
  const std::string letters = plain_name(take_diffusers_settings(text).class_name);
  const std::string_view wanted = letters;
  const size_t end = wanted.find(kClassEnding);
  return end != std::string_view::npos &&
         find_sampler_meaning(wanted.substr(0, end + kClassEnding.size()));
}

std::string_view automatic_schedule(std::string_view sampler) {
  const std::string name = sampler_name(sampler);
  for (const SamplerRow& row : sampler_rows()) {
    if (row.name == name) return row.names.automatic;
  }
  return SamplerNames().automatic;
}

bool discards_penultimate(std::string_view sampler, Dialect dialect) {
  constexpr auto kComfy =
      std::to_array<std::string_view>({"dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"});
  constexpr auto kA1111 =
      std::to_array<std::string_view>({"dpm_2", "dpm_2_ancestral", "dpmpp_3m_sde"});
  const std::string name = sampler_name(sampler);
  if (dialect == Dialect::kDiffusers) return false;
  return dialect == Dialect::kA1111 ? is_one_of(name, kA1111) : is_one_of(name, kComfy);
}

}  // namespace fourstep
