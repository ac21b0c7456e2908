// What is said of a sampler or schedule that is not here: that another program means something by
// the name, or which three names it is most like.
#include "sampling/names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text_tools.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"

namespace fourstep {

namespace {

/// Names of other programs for what is not here, separated by ';' (a '*' at the end stands for any
/// ending), what they mean there, and what is most like it here.
struct ForeignName {
  std::string_view names, meaning, nearest;
};

constexpr auto kForeignSamplers = std::to_array<ForeignName>({
    {"dpm++2mv2;dpm++ 2m v2", "stable-diffusion.cpp's variant of DPM++ 2M",
     "dpmpp_2m;dpmpp_2m_sde;res_multistep"},
    {"DPM++ 2M alt", "a variant of DPM++ 2M by smZ and others that weakens its memory",
     "dpmpp_2m;dpmpp_2m_sde;res_multistep"},
    {"res_2s*;res_3s*;res_5s*;res_6s*;RES-Singlestep*;RES-SDE*;RES-Unified*",
     "a RES solver of several stages, of RES4LYF and stable-diffusion.cpp",
     "res_multistep;seeds_2;dpmpp_2s_ancestral"},
    {"res_2m*;res_3m*;RES-Multistep 2M;RES-Multistep 3M", "RES4LYF's RES solver",
     "res_multistep;res_multistep_ancestral;dpmpp_2m"},
    {"deis_2m*;deis_3m*;deis_4m*;DEIS-Unified*", "RES4LYF's DEIS", "deis;ipndm;res_multistep"},
    {"DPM++ 1S", "SD.Next's single-step DPM-Solver++ that ends above 0",
     "dpmpp_2s;dpmpp_2m;dpmpp_2s_ancestral"},
    {"dpmpp_3m;DPM++ 3M", "the third order of diffusers' DPM-Solver++",
     "dpmpp_2m;dpmpp_3m_sde;deis"},
    {"DPM++ 4M SDE;dpmpp_4m_sde", "an extension's fourth order of DPM++ SDE",
     "dpmpp_3m_sde;dpmpp_2m_sde;er_sde"},
    {"EDMEulerScheduler;Euler EDM", "for models of EDM's parameterisation", "euler;heun;dpm_2"},
    {"EDMDPMSolverMultistepScheduler;DPM++ 2M EDM;CosineDPMSolverMultistepScheduler;DPM++ Cosine",
     "for models of EDM's parameterisation", "dpmpp_2m;dpmpp_2m_sde;deis"},
    {"DPMSolverMultistepInverseScheduler;DPM++ Inverse;DPM++ 2M Inverse;DPM++ 3M Inverse;"
     "DDIMInverseScheduler",
     "for the way from a picture back to noise", "ddim;dpmpp_2m;euler"},
    {"IPNDMScheduler", "diffusers' iPNDM for audio models, with a parameterisation of its own",
     "ipndm;ipndm_v;plms"},
    {"FlowMatchEulerDiscreteScheduler;FlowMatchHeunDiscreteScheduler;FlowMatchLCMScheduler;"
     "Euler FlowMatch;Heun FlowMatch;LCM FlowMatch;UniPC FlowMatch;Flash FlowMatch;"
     "ER-SDE FlowMatch;DPM2 FlowMatch;DPM2a FlowMatch;DPM2++*",
     "for flow-matching models such as FLUX and SD 3", "euler;heun;lcm"},
    {"ER-SDE 2M;ER-SDE 3M", "SD.Next's ER-SDE of a chosen order", "er_sde;seeds_2;dpmpp_3m_sde"},
    {"Euler A Substep;DPM++ SDE Substep", "Draw Things' sampler with steps between the steps",
     "euler_ancestral;dpmpp_sde;dpm_2_ancestral"},
    {"Euler Max;Euler Dy*;Euler SMEA*;Euler Negative*;Euler Multipass*;Kohaku LoNyu Yog",
     "an extension's variant of Euler", "euler;euler_ancestral;heun"},
    {"DC Solver;VDM Solver;TDD;PeRFlow;UFOGen;BDIA DDIM;CogX DDIM;CMSI;"
     "CMStochasticIterativeScheduler",
     "one of SD.Next's", "ddim;lcm;tcd"},
    {"rk_beta;legacy_rk;rk", "RES4LYF's family of Runge-Kutta solvers", "heun;dpm_2;seeds_3"},
});

constexpr auto kForeignSchedules = std::to_array<ForeignName>({
    {"flux;flux2;ltx2;logit_normal;power_shift;radiance_shift", "for flow-matching models",
     "simple;normal;sgm_uniform"},
    {"ays+;ays_30+", "ComfyUI-ppm's align your steps with one step more",
     "align_your_steps_11;align_your_steps_32;ays_30"},
    {"AYS SVD;AYS SD1", "align your steps for another model", "align_your_steps;ays_30;gits"},
    {"Karras Dynamic;Cosine;Cosine-exponential Blend;cosexpblend;Phi", "of an extension or reForge",
     "karras;exponential;polyexponential"},
    {"edm_playground_v2.5;edm", "for models of EDM's parameterisation", "karras;exponential;vp"},
    {"use_lu_lambdas;lu", "diffusers' Lu lambdas", "exponential;polyexponential;karras"},
});

bool is_schedule(std::string_view text) {
  const std::string name = schedule_name(text);
  const auto rows = schedule_rows();
  return std::any_of(rows.begin(), rows.end(),
                     [&](const ScheduleRow& row) { return row.name == name; });
}

/// Whether a foreign name is `wanted` (plain), alone or with a schedule behind it.
bool is_foreign_name(std::string_view name, const std::string& wanted) {
  std::string plain = plain_name(name);
  const bool takes_any_end = name.ends_with('*');
  if (takes_any_end) plain.pop_back();
  if (is_class_spelling(name, wanted)) return true;
  if (!wanted.starts_with(plain)) return false;
  return wanted == plain || takes_any_end || is_schedule(wanted.substr(plain.size()));
}

const ForeignName* find_foreign(std::span<const ForeignName> rows, std::string_view name) {
  const std::string wanted = plain_name(name);
  for (const ForeignName& row : rows) {
    for (const std::string_view known : names_in(row.names)) {
      if (is_foreign_name(known, wanted)) return &row;
    }
  }
  return nullptr;
}

/// A spelling and the name to show for it.
struct Spelling {
  std::string plain, shown;
};

std::vector<Spelling> schedule_spellings() {
  std::vector<Spelling> all;
  for (const ScheduleRow& row : schedule_rows()) {
    all.push_back({plain_name(row.name), std::string(row.name)});
  }
  for (const auto& [alias, name] : schedule_aliases()) {
    all.push_back({plain_name(alias), std::string(name)});
  }
  return all;
}

std::vector<Spelling> sampler_spellings() {
  std::vector<Spelling> all;
  for (const SamplerRow& row : sampler_rows()) {
    all.push_back({plain_name(row.name), std::string(row.name)});
  }
  for (const auto& [alias, name] : sampler_aliases()) {
    all.push_back({plain_name(alias), std::string(name)});
  }
  return all;
}

/// Samplers with a schedule behind them.
std::vector<Spelling> fused_spellings() {
  std::vector<Spelling> all;
  const auto schedules = schedule_spellings();
  for (const Spelling& sampler : sampler_spellings()) {
    for (const Spelling& schedule : schedules) {
      all.push_back({sampler.plain + schedule.plain, sampler.shown + " " + schedule.shown});
    }
  }
  return all;
}

struct RankedSpelling {
  size_t distance;
  const Spelling* spelling;
};

std::vector<RankedSpelling> ranked(std::string_view name, const std::vector<Spelling>& known) {
  const std::string wanted = plain_name(name);
  std::vector<RankedSpelling> all;
  for (const Spelling& spelling : known) {
    all.push_back({edit_distance(spelling.plain, wanted), &spelling});
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.distance < b.distance; });
  return all;
}

/// The names of the nearest three spellings, each once.
std::vector<std::string> nearest_names_of(const std::vector<RankedSpelling>& all) {
  constexpr size_t kShown = 3;
  std::vector<std::string> nearest;
  for (const RankedSpelling& one : all) {
    if (nearest.size() == kShown) break;
    const std::string& shown = one.spelling->shown;
    if (std::find(nearest.begin(), nearest.end(), shown) == nearest.end()) nearest.push_back(shown);
  }
  return nearest;
}

/// Samplers alone, or with schedules where those are nearer.
std::vector<std::string> nearest_samplers(std::string_view name) {
  const auto alone = sampler_spellings(), fused = fused_spellings();
  const auto ranked_alone = ranked(name, alone), ranked_fused = ranked(name, fused);
  const bool is_fused = ranked_fused.front().distance < ranked_alone.front().distance;
  return nearest_names_of(is_fused ? ranked_fused : ranked_alone);
}

/// Long names are shown by their beginning.
std::string shown(std::string_view name) {
  constexpr size_t kLongest = 80;
  return name.size() <= kLongest ? std::string(name)
                                 : std::string(name.substr(0, kLongest)) + "...";
}

[[noreturn]] void refuse_foreign(const char* what, std::string_view name, const ForeignName& row) {
  throw InvalidRequest("{} \"{}\" is not supported ({}); nearest: {}", what, shown(name),
                       row.meaning, fmt::join(names_in(row.nearest), ", "));
}

[[noreturn]] void refuse_unknown(const char* what, std::string_view name,
                                 const std::vector<std::string>& nearest) {
  throw InvalidRequest(
      "{} \"{}\" is not known; did you mean {}? (\"fourstep generate --help\" lists all)", what,
      shown(name), joined_with_or(nearest));
}

}  // namespace

void refuse_sampler_name(std::string_view name) {
  if (const ForeignName* row = find_foreign(kForeignSamplers, name)) {
    refuse_foreign("sampler", name, *row);
  }
  if (is_schedule(name)) {
    throw InvalidRequest("sampler \"{}\" is not known, but there is a schedule of this name: {}",
                         shown(name), "--schedule " + schedule_name(name));
  }
  refuse_unknown("sampler", name, nearest_samplers(name));
}

void refuse_schedule_name(std::string_view name) {
  if (const ForeignName* row = find_foreign(kForeignSchedules, name)) {
    refuse_foreign("schedule", name, *row);
  }
  const std::string sampler = split_sampler_name(name).sampler;
  if (sampler != name) {
    throw InvalidRequest("schedule \"{}\" is not known, but there is a sampler of this name: {}",
                         shown(name), "--sampler " + sampler);
  }
  const auto known = schedule_spellings();
  refuse_unknown("schedule", name, nearest_names_of(ranked(name, known)));
}

}  // namespace fourstep
