#include "distill/draws.h"

#include "train/random.h"

namespace fourstep {

namespace {

constexpr int64_t kNumTimesteps = 1000;

/// Noise and timesteps in low..high.
struct Drawer {
  uint64_t seed;
  int64_t iteration;
  const Shape& shape;

  Tensor normal(const std::string& stream) const {
    return draw_normal({seed, stream, iteration}, shape);
  }
  NoisedAt noised(const std::string& stream, int64_t low, int64_t high) const {
    return {draw_integers({seed, stream + " t", iteration}, low, high + 1, shape[0]),
            normal(stream + " noise")};
  }
};

NoisedAt part_of(const NoisedAt& at, int64_t begin, int64_t count, torch::Device device) {
  return {at.timesteps.narrow(0, begin, count).to(device),
          at.noise.narrow(0, begin, count).to(device)};
}

}  // namespace

StepDraws draw_step(const DistillConfig& config, uint64_t seed, int64_t iteration,
                    const Shape& shape) {
  const Drawer drawer{seed, iteration, shape};
  StepDraws draws;
  const auto num_steps = static_cast<int64_t>(config.timesteps.size());
  draws.student_step =
      draw_integers({seed, "student step", iteration}, 0, num_steps, 1).item<int64_t>();
  for (int64_t j = 0; j <= draws.student_step; ++j) {
    draws.rollout.push_back(drawer.normal(fmt::format("rollout {}", j)));
  }
  const auto step_timestep =
      static_cast<int64_t>(config.timesteps[static_cast<size_t>(draws.student_step)]);
  const int64_t cleanest = config.min_timestep;
  const int64_t below = std::max(cleanest, std::min(config.max_timestep, step_timestep - 1));
  draws.matching = {drawer.noised("matching", cleanest, config.max_timestep),
                    drawer.noised("guidance", cleanest, below)};
  draws.gan = drawer.noised("gan", 0, kNumTimesteps - 1);
  draws.critic = drawer.noised("critic", 0, kNumTimesteps - 1);
  draws.fake = drawer.noised("fake", 0, kNumTimesteps - 1);
  draws.real = drawer.noised("real", 0, kNumTimesteps - 1);
  return draws;
}

StepDraws part_of(const StepDraws& draws, int64_t begin, int64_t count, torch::Device device) {
  const auto part = [&](const NoisedAt& at) { return part_of(at, begin, count, device); };
  StepDraws own{draws.student_step,
                {},
                {part(draws.matching.matching), part(draws.matching.guidance)},
                part(draws.gan),
                part(draws.critic),
                part(draws.fake),
                part(draws.real)};
  for (const Tensor& noise : draws.rollout) {
    own.rollout.push_back(noise.narrow(0, begin, count).to(device));
  }
  return own;
}

}  // namespace fourstep
