#pragma once
// The many names of samplers and schedules. Programs write one thing as "DPM++ 2M SDE", "dpmpp_2m_sde" or
// "k_dpmpp_2m_sde", and older ones fuse both names: "DPM++ 2M Karras". Upper and lower case, blanks, '_', '-', brackets
// and commas never matter, and '+' counts as 'p'. The names themselves stand in the rows of samplers.cpp and
// schedules.cpp; here is how they are read.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dialect.h"

namespace fourstep {

struct NameAlias {
  std::string_view alias, name;
};

/// The other names of the rows, beyond differences in case and separators: of A1111, Forge, ComfyUI, InvokeAI, SD.Next,
/// stable-diffusion.cpp and Draw Things, and the class names of diffusers' schedulers.
std::vector<NameAlias> sampler_aliases();
std::vector<NameAlias> schedule_aliases();

/// The name behind any spelling, for instance "euler_ancestral" of "Euler a", "Euler Ancestral Discrete" or
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
/// back whole, as the sampler. Settings behind the class name of one of diffusers' schedulers count too:
/// "DPMSolverMultistepScheduler use_karras_sigmas=True algorithm_type=sde-dpmsolver++".
/// Throws InvalidRequest for a setting of such a class that asks for what is not here.
SamplerAndSchedule split_sampler_name(std::string_view text);

/// Whether a sampler is named by the class of one of diffusers' schedulers, with or without settings.
bool is_diffusers_class(std::string_view text);

/// The schedule that "Automatic" stands for with a sampler: karras, exponential or normal. Source: A1111 and
/// Forge.
std::string_view automatic_schedule(std::string_view sampler);

/// Whether a program runs the sampler without the last but one noise level (ScheduleSettings).
bool discards_penultimate(std::string_view sampler, Dialect dialect);

}  // namespace fourstep
