#include "sampling/names.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "base/text_tools.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"

namespace fourstep {

std::string plain_name(std::string_view name) {
  constexpr std::string_view kIgnored = " \t_-()[],\"'";
  std::string letters;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      letters += static_cast<char>(c - 'A' + 'a');
    } else if (c == '+') {
      letters += 'p';
    } else if (kIgnored.find(c) == std::string_view::npos) {
      letters += c;
    }
  }
  return letters;
}

bool is_class_spelling(std::string_view class_name, std::string_view wanted) {
  constexpr std::string_view kEnding = "scheduler";
  std::string stem = plain_name(class_name);
  if (!stem.ends_with(kEnding)) return false;
  stem.resize(stem.size() - kEnding.size());
  if (wanted.ends_with(kEnding)) wanted.remove_suffix(kEnding.size());
  if (stem == wanted) return true;
  for (const std::string_view ending : {"discrete", "multistep"}) {
    if (stem.ends_with(ending) && stem.substr(0, stem.size() - ending.size()) == wanted) {
      return true;
    }
  }
  return false;
}

std::vector<std::string_view> names_in(std::string_view list) {
  std::vector<std::string_view> names;
  while (!list.empty()) {
    const size_t end = std::min(list.find(';'), list.size());
    names.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return names;
}

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

/// By a name of the program itself, of A1111, of others, and last by the classes of diffusers, so
/// that the ambiguous "UniPC" is A1111's and not the class without its endings.
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
    for (const std::string_view name : names_in(row.diffusers.classes)) {
      if (row.diffusers.by_default && is_class_spelling(name, wanted)) {
        return Meaning{row.name, {}};
      }
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

/// A setting that fixes the schedule; an empty schedule: the default, which fixes nothing.
struct ScheduleSetting {
  std::string_view key, value, schedule;
};

constexpr auto kScheduleSettings = std::to_array<ScheduleSetting>({
    {"use_karras_sigmas", "true", "karras"},
    {"use_karras_sigmas", "false", ""},
    {"use_exponential_sigmas", "true", "exponential"},
    {"use_exponential_sigmas", "false", ""},
    {"use_beta_sigmas", "true", "beta"},
    {"use_beta_sigmas", "false", ""},
    {"use_lu_lambdas", "false", ""},
    {"use_flow_sigmas", "false", ""},
    {"timestep_spacing", "trailing", "trailing"},
    {"timestep_spacing", "leading", "leading"},
    {"timestep_spacing", "linspace", "linspace"},
    {"final_sigmas_type", "zero", ""},
    {"lower_order_final", "true", ""},
    {"euler_at_final", "false", ""},
    {"thresholding", "false", ""},
});

constexpr std::string_view kWordEnds = " \t,()[]\"'";

/// Whether one of a row's settings, "KEY=VALUE", has this key.
bool has_key(std::string_view setting, std::string_view key) {
  return setting.starts_with(key) && setting.substr(key.size()).starts_with('=');
}

bool is_setting_key(std::string_view word) {
  for (const SamplerRow& row : sampler_rows()) {
    for (const std::string_view setting : names_in(row.diffusers.settings)) {
      if (has_key(setting, word)) return true;
    }
  }
  return std::any_of(kScheduleSettings.begin(), kScheduleSettings.end(),
                     [&](const ScheduleSetting& row) { return row.key == word; });
}

/// What a sampler becomes when its class is told key=value: the row of the class whose other
/// settings are the same. None where the setting is not one of the class's, or no row has it.
const SamplerRow* find_by_setting(std::string_view sampler, const std::string& key,
                                  const std::string& value) {
  const DiffusersScheduler& from = find_sampler(sampler).diffusers;
  const auto told = [&](std::string_view setting) {
    return has_key(setting, key) ? key + "=" + value : std::string(setting);
  };
  std::vector<std::string> wanted;
  for (const std::string_view setting : names_in(from.settings)) wanted.push_back(told(setting));
  const auto is_wanted = [&](const SamplerRow& row) {
    const auto settings = names_in(row.diffusers.settings);
    const bool has_it = std::any_of(settings.begin(), settings.end(),
                                    [&](std::string_view s) { return s == key + "=" + value; });
    return has_it && row.diffusers.name() == from.name() &&
           std::equal(settings.begin(), settings.end(), wanted.begin(), wanted.end());
  };
  const auto rows = sampler_rows();
  const auto row = std::find_if(rows.begin(), rows.end(), is_wanted);
  return row == rows.end() ? nullptr : &*row;
}

const ScheduleSetting* find_schedule_setting(std::string_view key, std::string_view value) {
  for (const ScheduleSetting& row : kScheduleSettings) {
    if (row.key == key && row.value == value) return &row;
  }
  return nullptr;
}

/// The end of the word that begins at `begin`.
size_t word_end(std::string_view text, size_t begin, std::string_view ends) {
  return std::min(text.find_first_of(ends, begin), text.size());
}

/// Where the first setting begins, or the end: a known key, or a word with '=' in or behind it.
size_t find_settings(std::string_view text) {
  for (size_t begin = 0; begin < text.size(); ++begin) {
    begin = std::min(text.find_first_not_of(kWordEnds, begin), text.size());
    const size_t end = word_end(text, begin, kWordEnds);
    const std::string_view word = text.substr(begin, end - begin);
    const size_t next = text.find_first_not_of(kWordEnds, end);
    const bool has_value = word.find('=') != std::string_view::npos ||
                           (next != std::string_view::npos && text[next] == '=');
    if (has_value || is_setting_key(lower_ascii(word.substr(0, word.find(':'))))) return begin;
    begin = end;
  }
  return text.size();
}

}  // namespace

DiffusersSettings take_diffusers_settings(std::string_view text) {
  const size_t begin = find_settings(text);
  DiffusersSettings taken{text.substr(0, begin), {}};
  const std::string rest = lower_ascii(text.substr(begin));
  constexpr std::string_view kAll = " \t,()[]\"'=:";
  for (size_t at = rest.find_first_not_of(kAll); at < rest.size();
       at = rest.find_first_not_of(kAll, at)) {
    const size_t end = word_end(rest, at, kAll);
    const std::string word = rest.substr(at, end - at);
    const size_t next = rest.find_first_not_of(kWordEnds, end);
    const bool has_value = next < rest.size() && (rest[next] == '=' || rest[next] == ':');
    at = end;
    if (!has_value) {
      taken.settings.emplace_back(word, "true");
      continue;
    }
    const size_t value = std::min(rest.find_first_not_of(kAll, next), rest.size());
    at = word_end(rest, value, kAll);
    taken.settings.emplace_back(word, rest.substr(value, at - value));
  }
  return taken;
}

SamplerAndSchedule with_diffusers_settings(SamplerAndSchedule named,
                                           const DiffusersSettings& settings) {
  // algorithm_type first: what solver_type means depends on it.
  auto ordered = settings.settings;
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return (a.first == "algorithm_type") > (b.first == "algorithm_type");
  });
  const std::string class_name = trimmed(settings.class_name);
  for (const auto& [key, value] : ordered) {
    if (const SamplerRow* row = find_by_setting(named.sampler, key, value)) {
      named.sampler = row->name;
      continue;
    }
    const ScheduleSetting* row = find_schedule_setting(key, value);
    if (!row) {
      throw InvalidRequest("--sampler: {}={} of {} is not supported here; leave it out", key, value,
                           class_name);
    }
    if (row->schedule.empty()) continue;
    if (!named.schedule.empty() && named.schedule != row->schedule) {
      throw InvalidRequest("--sampler: {}={} of {} contradicts the schedule {}; name one of them",
                           key, value, class_name, named.schedule);
    }
    named.schedule = row->schedule;
  }
  return named;
}

std::vector<NameAlias> sampler_aliases() {
  std::vector<NameAlias> aliases;
  for (const SamplerRow& row : sampler_rows()) {
    if (!row.names.a1111.empty()) aliases.push_back({row.names.a1111, row.name});
    for (const auto name : names_in(row.diffusers.classes)) {
      if (row.diffusers.by_default) aliases.push_back({name, row.name});
    }
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

}  // namespace fourstep
