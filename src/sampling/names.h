#pragma once
// The many names of samplers and schedules. Programs write one thing as "DPM++ 2M SDE", "dpmpp_2m_sde" or
// "k_dpmpp_2m_sde", and older ones fuse both names: "DPM++ 2M Karras". Upper and lower case, blanks, '_' and
// '-' never matter, and '+' counts as 'p'.

#include <span>
#include <string>
#include <string_view>

#include "base/dialect.h"

namespace fourstep {

struct NameAlias {
  std::string_view alias, name;
};

/// Other names, beyond differences in case and separators: of A1111, Forge, ComfyUI, InvokeAI and Draw
/// Things, and the class names of diffusers' schedulers.
std::span<const NameAlias> sampler_aliases();
std::span<const NameAlias> schedule_aliases();

/// The name behind any spelling, for instance "euler_ancestral" of "Euler a" or
/// "EulerAncestralDiscreteScheduler". Unknown names come back as they are.
std::string sampler_name(std::string_view name);

/// The same for schedules: "ddim_uniform" of "DDIM". "Automatic" becomes automatic_schedule(sampler).
std::string schedule_name(std::string_view name, std::string_view sampler = {});

/// A sampler and a schedule; the schedule is empty where the text names none.
struct SamplerAndSchedule {
  std::string sampler, schedule;

  bool operator==(const SamplerAndSchedule&) const = default;
};

/// Divides a name such as "DPM++ 2M SDE Exponential" or "k_dpmpp_2m_ka". A text that is not understood comes
/// back whole, as the sampler.
SamplerAndSchedule split_sampler_name(std::string_view text);

/// The schedule that "Automatic" stands for with a sampler: karras, exponential or normal. Source: A1111 and
/// Forge.
std::string_view automatic_schedule(std::string_view sampler);

/// Whether a program runs the sampler without the last but one noise level (ScheduleSettings).
bool discards_penultimate(std::string_view sampler, Dialect dialect);

}  // namespace fourstep
