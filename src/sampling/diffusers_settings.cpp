#include "sampling/diffusers_settings.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text_tools.h"
#include "sampling/names.h"

namespace fourstep {

namespace {

/// A setting that turns one sampler into another, or leaves it as it is where both are the same.
struct SettingRow {
  std::string_view key, value, sampler, becomes;
};

constexpr auto kSamplerSettings = std::to_array<SettingRow>({
    {"algorithm_type", "dpmsolver++", "dpmpp_2m", "dpmpp_2m"},
    {"algorithm_type", "sde-dpmsolver++", "dpmpp_2m", "dpmpp_2m_sde"},
    {"algorithm_type", "deis", "deis", "deis"},
    {"solver_type", "midpoint", "dpmpp_2m", "dpmpp_2m"},
    {"solver_type", "midpoint", "dpmpp_2m_sde", "dpmpp_2m_sde"},
    {"solver_type", "heun", "dpmpp_2m_sde", "dpmpp_2m_sde_heun"},
    {"solver_type", "logrho", "deis", "deis"},
    {"solver_type", "bh1", "uni_pc_bh2", "uni_pc"},
    {"solver_type", "bh2", "uni_pc_bh2", "uni_pc_bh2"},
    {"algorithm_type", "dpmsolver++", "dpmpp_2s", "dpmpp_2s"},
    {"solver_type", "midpoint", "dpmpp_2s", "dpmpp_2s"},
    {"solver_order", "2", "dpmpp_2s", "dpmpp_2s"},
    {"solver_order", "2", "dpmpp_2m", "dpmpp_2m"},
    {"solver_order", "2", "dpmpp_2m_sde", "dpmpp_2m_sde"},
    {"solver_order", "2", "dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun"},
    {"solver_order", "2", "uni_pc", "uni_pc"},
    {"solver_order", "2", "uni_pc_bh2", "uni_pc_bh2"},
    {"solver_order", "2", "deis", "deis"},
});

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

bool is_setting_key(std::string_view word) {
  const auto has_key = [&](const auto& row) { return row.key == word; };
  return std::any_of(kSamplerSettings.begin(), kSamplerSettings.end(), has_key) ||
         std::any_of(kScheduleSettings.begin(), kScheduleSettings.end(), has_key);
}

const SettingRow* find_sampler_setting(std::string_view key, std::string_view value,
                                       std::string_view sampler) {
  for (const SettingRow& row : kSamplerSettings) {
    if (row.key == key && row.value == value && row.sampler == sampler) return &row;
  }
  return nullptr;
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
    if (const SettingRow* row = find_sampler_setting(key, value, named.sampler)) {
      named.sampler = row->becomes;
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

}  // namespace fourstep
