#include "sampling/names.h"

#include <algorithm>
#include <array>
#include <optional>

#include "sampling/samplers.h"
#include "sampling/schedules.h"

namespace fourstep {

namespace {

constexpr auto kSamplerAliases = std::to_array<NameAlias>({
    // A1111, Forge and Draw Things
    {"euler a", "euler_ancestral"},
    {"euler a cfg++", "euler_ancestral_cfg_pp"},
    {"dpm2 a", "dpm_2_ancestral"},
    {"dpm ad", "dpm_adaptive"},
    {"dpm++ 2s a", "dpmpp_2s_ancestral"},
    {"dpm++ 2s a cfg++", "dpmpp_2s_ancestral_cfg_pp"},
    {"pndm", "plms"},
    // ComfyUI: the same with noise drawn on the device
    {"dpmpp_sde_gpu", "dpmpp_sde"},
    {"dpmpp_2m_sde_gpu", "dpmpp_2m_sde"},
    {"dpmpp_2m_sde_heun_gpu", "dpmpp_2m_sde_heun"},
    {"dpmpp_3m_sde_gpu", "dpmpp_3m_sde"},
    // diffusers' classes, with their default settings
    {"EulerDiscreteScheduler", "euler"},
    {"EDMEulerScheduler", "euler"},
    {"EulerAncestralDiscreteScheduler", "euler_ancestral"},
    {"HeunDiscreteScheduler", "heun"},
    {"LMSDiscreteScheduler", "lms"},
    {"KDPM2DiscreteScheduler", "dpm_2"},
    {"KDPM2AncestralDiscreteScheduler", "dpm_2_ancestral"},
    {"DPMSolverMultistepScheduler", "dpmpp_2m"},
    {"DPMSolverSinglestepScheduler", "dpmpp_2s"},
    {"EDMDPMSolverMultistepScheduler", "dpmpp_2m"},
    {"DPMSolverSDEScheduler", "dpmpp_sde"},
    {"DEISMultistepScheduler", "deis"},
    {"UniPCMultistepScheduler", "uni_pc_bh2"},
    {"SASolverScheduler", "sa_solver"},
    {"IPNDMScheduler", "ipndm"},
    {"PNDMScheduler", "plms"},
    {"DDIMScheduler", "ddim"},
    {"DDPMScheduler", "ddpm"},
    {"LCMScheduler", "lcm"},
    {"TCDScheduler", "tcd"},
});

constexpr std::string_view kAutomatic = "automatic";

constexpr auto kScheduleAliases = std::to_array<NameAlias>({
    {"uniform", "normal"},
    {"ddim", "ddim_uniform"},
    {"sgm", "sgm_uniform"},
    {"ays", "align_your_steps"},
    {"ays 11", "align_your_steps_11"},
    {"ays 32", "align_your_steps_32"},
    {"ays gits", "align_your_steps_gits"},
    {"auto", kAutomatic},
    {"ka", "karras"},  // k-diffusion's short names, as in k_dpmpp_2m_ka
    {"k", "karras"},   // InvokeAI's, as in dpmpp_2m_k
});

/// What decides whether two spellings are one name.
std::string plain(std::string_view name) {
  std::string letters;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      letters += static_cast<char>(c - 'A' + 'a');
    } else if (c == '+') {
      letters += 'p';
    } else if (c != ' ' && c != '_' && c != '-') {
      letters += c;
    }
  }
  return letters;
}

template <typename Row>
std::optional<std::string_view> find_plain(std::span<const Row> rows, std::string_view wanted) {
  for (const Row& row : rows) {
    if (plain(row.name) == wanted) return row.name;
  }
  return std::nullopt;
}

std::optional<std::string_view> find_plain_alias(std::span<const NameAlias> aliases,
                                                 std::string_view wanted) {
  for (const NameAlias& row : aliases) {
    if (plain(row.alias) == wanted) return row.name;
  }
  return std::nullopt;
}

std::optional<std::string_view> find_without_prefix(std::string_view wanted) {
  const auto name = find_plain(sampler_rows(), wanted);
  return name ? name : find_plain_alias(kSamplerAliases, wanted);
}

std::optional<std::string_view> find_sampler_name(std::string_view wanted) {
  const auto name = find_without_prefix(wanted);
  if (name || !wanted.starts_with('k')) return name;
  return find_without_prefix(wanted.substr(1));  // k-diffusion's prefix: k_euler_a
}

std::optional<std::string_view> find_schedule_name(std::string_view wanted) {
  if (const auto name = find_plain(schedule_rows(), wanted)) return name;
  if (wanted == kAutomatic) return kAutomatic;
  return find_plain_alias(kScheduleAliases, wanted);
}

template <size_t kCount>
bool is_one_of(std::string_view name, const std::array<std::string_view, kCount>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::span<const NameAlias> sampler_aliases() { return kSamplerAliases; }

std::span<const NameAlias> schedule_aliases() { return kScheduleAliases; }

std::string sampler_name(std::string_view name) {
  return std::string(find_sampler_name(plain(name)).value_or(name));
}

std::string schedule_name(std::string_view name, std::string_view sampler) {
  const std::string_view found = find_schedule_name(plain(name)).value_or(name);
  return std::string(found == kAutomatic ? automatic_schedule(sampler) : found);
}

SamplerAndSchedule split_sampler_name(std::string_view text) {
  constexpr size_t kLongest = 100;
  const std::string letters = plain(text.substr(0, kLongest));
  const std::string_view all = letters;
  if (const auto sampler = find_sampler_name(all)) return {std::string(*sampler), ""};
  // From the longest schedule down, so that "SGM Uniform" is not taken for "Uniform".
  for (size_t length = 1; length < all.size(); ++length) {
    const auto sampler = find_sampler_name(all.substr(0, length));
    const auto schedule = sampler ? find_schedule_name(all.substr(length)) : std::nullopt;
    if (schedule) return {std::string(*sampler), schedule_name(*schedule, *sampler)};
  }
  return {std::string(text), ""};
}

std::string_view automatic_schedule(std::string_view sampler) {
  constexpr auto kKarras = std::to_array<std::string_view>(
      {"dpmpp_2m", "dpmpp_sde", "dpmpp_2s_ancestral", "dpm_2", "dpm_2_ancestral", "restart"});
  constexpr auto kExponential =
      std::to_array<std::string_view>({"dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde"});
  const std::string name = sampler_name(sampler);
  if (is_one_of(name, kKarras)) return "karras";
  return is_one_of(name, kExponential) ? "exponential" : "normal";
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
