#pragma once
// The many names of samplers and schedules. Programs write one thing as "DPM++ 2M SDE",
// "dpmpp_2m_sde" or "k_dpmpp_2m_sde", and older ones fuse both names: "DPM++ 2M Karras". Upper and
// lower case, blanks, '_', '-', brackets and commas never matter, and '+' counts as 'p'. The names
// themselves stand in the rows of samplers and schedules; here is how they are read, and what is
// said of one that is not here.

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fourstep {

/// Lower case, '+' as 'p', without blanks, '_', '-', brackets, commas and quotation marks.
std::string plain_name(std::string_view name);

/// Whether `wanted` (plain) is the class name of a scheduler of diffusers, with or without its
/// endings "Scheduler" and then "Discrete" or "Multistep". class_name: any text; one that does not
/// end with "Scheduler" is never one.
bool is_class_spelling(std::string_view class_name, std::string_view wanted);

/// The parts of a row's list of names, separated by ';'.
std::vector<std::string_view> names_in(std::string_view list);

struct NameAlias {
  std::string_view alias, name;
};

/// The other names of the rows, beyond differences in case and separators: of A1111, Forge,
/// ComfyUI, InvokeAI, SD.Next, stable-diffusion.cpp and Draw Things, and the class names of
/// diffusers' schedulers.
std::vector<NameAlias> sampler_aliases();
std::vector<NameAlias> schedule_aliases();

/// The name behind any spelling, for instance "euler_ancestral" of "Euler a", "Euler Ancestral
/// Discrete" or "EulerAncestralDiscreteScheduler". Unknown names come back as they are.
std::string sampler_name(std::string_view name);

/// The same for schedules: "ddim_uniform" of "DDIM". "Automatic" becomes
/// automatic_schedule(sampler).
std::string schedule_name(std::string_view name, std::string_view sampler = {});

/// A sampler and a schedule; the schedule is empty where the text names none.
struct SamplerAndSchedule {
  std::string sampler, schedule;

  bool operator==(const SamplerAndSchedule&) const = default;
};

/// Divides a name such as "DPM++ 2M SDE Exponential" or "k_dpmpp_2m_ka". A text that is not
/// understood comes back whole, as the sampler. Settings behind the class name of one of diffusers'
/// schedulers count too: "DPMSolverMultistepScheduler use_karras_sigmas=True
/// algorithm_type=sde-dpmsolver++".
/// Throws InvalidRequest for a setting of such a class that asks for what is not here.
SamplerAndSchedule split_sampler_name(std::string_view text);

/// How people write the settings of diffusers' schedulers behind the class name, in words or as
/// keyword arguments: "DPMSolverMultistepScheduler(use_karras_sigmas=True,
/// algorithm_type='sde-dpmsolver++')".
struct DiffusersSettings {
  std::string_view class_name;  ///< what stands before the first setting
  /// Lower case; "true" where no value is given.
  std::vector<std::pair<std::string, std::string>> settings;
};

/// Divides a text at the first word that is one of diffusers' settings; without one all of it is
/// the class name, which points into `text`.
DiffusersSettings take_diffusers_settings(std::string_view text);

/// What a sampler becomes by its settings: another sampler (algorithm_type, solver_type), a
/// schedule (use_karras_sigmas, timestep_spacing and the like), or nothing where they are the
/// defaults.
/// Throws InvalidRequest naming the setting when it asks for what is not here.
SamplerAndSchedule with_diffusers_settings(SamplerAndSchedule named,
                                           const DiffusersSettings& settings);

/// Whether a sampler is named by the class of one of diffusers' schedulers, with or without
/// settings.
bool is_diffusers_class(std::string_view text);

/// The schedule that "Automatic" stands for with a sampler: karras, exponential or normal. Source:
/// A1111 and Forge.
std::string_view automatic_schedule(std::string_view sampler);

/// Throws InvalidRequest. name: one that find_sampler() did not find.
[[noreturn]] void refuse_sampler_name(std::string_view name);

/// Throws InvalidRequest. name: one that find_schedule() did not find.
[[noreturn]] void refuse_schedule_name(std::string_view name);

}  // namespace fourstep
