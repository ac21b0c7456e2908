#include "sampling/samplers.h"

#include <utility>
#include <vector>

#include "sampling/names.h"

namespace fourstep {

bool SamplerRow::discards_penultimate(Dialect dialect) const {
  if (dialect == Dialect::kDiffusers) return false;
  return dialect == Dialect::kA1111 ? a1111.discards_penultimate : comfyui.discards_penultimate;
}

std::span<const SamplerRow> sampler_rows() {
  static const std::vector<SamplerRow> kRows = [] {
    std::vector<SamplerRow> rows;
    for (const auto family :
         {ancestral_samplers(), ode_samplers(), dpm_solver_samplers(), multistep_samplers(),
          sde_samplers(), uni_pc_samplers(), sa_solver_samplers(), cfg_pp_samplers()}) {
      rows.insert(rows.end(), family.begin(), family.end());
    }
    return rows;
  }();
  return kRows;
}

const SamplerRow& find_sampler(std::string_view name) {
  const std::string known = sampler_name(name);
  for (const SamplerRow& row : sampler_rows()) {
    if (row.name == known) return row;
  }
  refuse_sampler_name(name);
}

Tensor sample(const SamplerRow& sampler, const SamplerRun& run, Tensor x, const OnStep& on_step) {
  check_falling(run.sigmas);
  if (run.sigmas.size() < 2) return x;
  return sampler.function(run, std::move(x), on_step);
}

}  // namespace fourstep
