#pragma once
// Noise levels that were found by optimisation and are published as numbers, as the programs ship
// them.

#include <span>
#include <vector>

#include "sampling/schedule_settings.h"

namespace fourstep {

/// Whose numbers to take for "align your steps".
enum class AysTable { kComfy, kA1111, kForge32, kForgeGits };

/// Falling noise levels: 11 numbers, 32 for kForge32. The last one is small, not 0.
/// Source: Sabour et al. 2024 (2404.14507); the tables of ComfyUI's node and of Forge's schedulers.
std::span<const double> align_your_steps_table(AysTable table, TabledModel model);

/// The 31 falling timesteps of align your steps for 30 steps. Source: Koitenshin in A1111's pull
/// request 15751; ComfyUI-ppm `ays_30` (until August 2025; a later version takes the table of 10
/// steps by mistake).
std::span<const double> ays_30_timesteps(TabledModel model);

/// The steps + 1 numbers of GITS, the last one small, not 0; steps: 1..20 (one step is the first
/// and the last level). coefficient: 0.80, 0.85, ..., 1.50, to two decimals; high ones put more
/// steps at low noise.
/// Throws InvalidRequest for other coefficients, naming them, and Error for other numbers of steps.
/// Source: Chen et al. 2024 (2405.11326); the tables of ComfyUI's GITSScheduler node.
std::vector<double> gits_table_sigmas(double coefficient, int steps);

}  // namespace fourstep
