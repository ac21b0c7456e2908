// Distillation where the teacher is known in closed form: the noise prediction of a mixture of three normal
// distributions in the plane, as latents [B,2,1,1]. Student and critic are the teacher plus a small network.

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "distill/train_step.h"
#include "layers/layers.h"
#include "nets/blocks.h"
#include "train/random.h"

namespace fourstep {
namespace {

/// Shares, centres and covariances of the parts. E[r_k], E[r_k x] / E[r_k] and so on, with r_k the probability that
/// a sample is of part k, are the same numbers when the samples are of the mixture: the parts may overlap.
struct Parts {
  Tensor shares;       ///< [K]
  Tensor centres;      ///< [K,2]
  Tensor covariances;  ///< [K,2,2]
};

Parts true_parts() {
  return {torch::tensor({0.5f, 0.3f, 0.2f}),
          torch::tensor({1.4f, 0.3f, -0.9f, 1.1f, -0.8f, -1.3f}).view({3, 2}),
          torch::tensor(
              {0.60f, 0.24f, 0.24f, 0.36f, 0.36f, 0.f, 0.f, 0.75f, 0.54f, -0.24f, -0.24f, 0.42f})
              .view({3, 2, 2})};
}

/// What noise makes of the mixture: alpha_t x + sigma_t n has the centres alpha m and covariances alpha^2 S + sigma^2.
class NoisyMixture {
 public:
  NoisyMixture(Parts parts, NoiseLevels levels)
      : parts_(std::move(parts)), levels_(std::move(levels)) {
    const Tensor alphas = levels_.alphas.view({-1, 1, 1, 1}),
                 sigmas = levels_.sigmas.view({-1, 1, 1, 1});
    const Tensor noisy = alphas.square() * parts_.covariances + sigmas.square() * at::eye(2);
    precisions_ = at::linalg_inv(noisy);
    log_factors_ = parts_.shares.log() - 0.5 * at::linalg_det(noisy).log();
  }

  /// log of each part's density at x [B,2], but for a constant: [B,K].
  Tensor log_densities(const Tensor& x, const Tensor& t) const {
    return log_factors_.index_select(0, t) - 0.5 * (pull(x, t) * offsets(x, t)).sum(-1);
  }

  /// -sigma times the gradient of the log density. x: [B,2,1,1].
  Tensor eps(const Tensor& x, const Tensor& t) const {
    const Tensor flat = x.flatten(1), shares = log_densities(flat, t).softmax(1);
    const Tensor mean_pull = (shares.unsqueeze(-1) * pull(flat, t)).sum(1);
    return (levels_.sigmas.index_select(0, t).unsqueeze(1) * mean_pull).view_as(x);
  }

 private:
  Tensor offsets(const Tensor& x, const Tensor& t) const {
    return x.unsqueeze(1) - levels_.alphas.index_select(0, t).view({-1, 1, 1}) * parts_.centres;
  }
  Tensor pull(const Tensor& x, const Tensor& t) const {
    return (precisions_.index_select(0, t) * offsets(x, t).unsqueeze(-2)).sum(-1);
  }

  Parts parts_;
  NoiseLevels levels_;
  Tensor precisions_;   ///< [T,K,2,2]
  Tensor log_factors_;  ///< [T,K]
};

/// What samples [B,2] have of the mixture's parts.
Parts measured_parts(const Tensor& x) {
  const NoisyMixture clean(true_parts(), {torch::ones({1}), torch::zeros({1})});
  const Tensor t = torch::zeros({x.size(0)}, torch::kInt64);
  const Tensor shares = clean.log_densities(x, t).softmax(1).unsqueeze(-1);  // [B,K,1]
  const Tensor total = shares.sum(0), centres = (shares * x.unsqueeze(1)).sum(0) / total;
  const Tensor offsets = x.unsqueeze(1) - centres;
  const Tensor products = offsets.unsqueeze(-1) * offsets.unsqueeze(-2);
  return {total.flatten() / x.size(0), centres,
          (shares.unsqueeze(-1) * products).sum(0) / total.unsqueeze(-1)};
}

/// Largest differences from the mixture.
struct Errors {
  double shares, centres, covariances;
};

Errors errors_of(const Tensor& x) {
  const Parts got = measured_parts(x.flatten(1)), expected = true_parts();
  const auto largest = [](const Tensor& a, const Tensor& b) {
    return (a - b).abs().max().item<double>();
  };
  return {largest(got.shares, expected.shares), largest(got.centres, expected.centres),
          largest(got.covariances, expected.covariances)};
}

void expect_within(const Errors& errors, const Errors& bounds) {
  fmt::print("shares {:.3f} centres {:.3f} covariances {:.3f}\n", errors.shares, errors.centres,
             errors.covariances);
  EXPECT_LT(errors.shares, bounds.shares);
  EXPECT_LT(errors.centres, bounds.centres);
  EXPECT_LT(errors.covariances, bounds.covariances);
}

/// Three layers on x and the timestep; the last begins at zero.
struct SmallNetworkImpl : nn::Module {
  SmallNetworkImpl() {
    constexpr int64_t kWidth = 64, kInputs = 2 + kTimeWidth;
    first = register_module("first", Linear(kInputs, kWidth));
    second = register_module("second", Linear(kWidth, kWidth));
    last = register_module("last", Linear(kWidth, 2));
  }
  Tensor forward(const Tensor& x, const Tensor& t) {
    const Tensor angles =
        t.to(torch::kFloat32).unsqueeze(1) * torch::tensor({1.f, 4.f, 16.f, 64.f}) / 1000;
    const Tensor input = at::cat({x.flatten(1), angles.sin(), angles.cos()}, 1);
    return last(at::silu(second(at::silu(first(input))))).view_as(x);
  }
  static constexpr int64_t kTimeWidth = 8;
  Linear first{nullptr}, second{nullptr}, last{nullptr};
};
TORCH_MODULE(SmallNetwork);

/// The teacher plus alpha times the network, which is of the size of data at every noise level.
View learning_view(const NoisyMixture& mixture, const NoiseLevels& levels, uint64_t seed) {
  SmallNetwork network;
  initialize(*network, {.seed = seed, .zeroed = {"last"}});
  View view;
  view.eps = [mixture, levels, network](const Tensor& x, const Tensor& t,
                                        const Conditioning&) mutable {
    return mixture.eps(x, t) + levels.alphas.index_select(0, t).view({-1, 1, 1, 1}) * network(x, t);
  };
  view.trainable = parameters_of(*network);
  require_gradients(view.trainable, true);
  return view;
}

Distillation mixture_distillation(const DistillConfig& config) {
  const NoiseLevels levels = noise_levels_of(make_sdxl_noise_schedule());
  const NoisyMixture mixture(true_parts(), levels);
  Views views;
  views.teacher.eps = [mixture](const Tensor& x, const Tensor& t, const Conditioning&) {
    return mixture.eps(x, t);
  };
  views.student = learning_view(mixture, levels, 1);
  views.critic = learning_view(mixture, levels, 2);
  const AdamWOptions options{.beta1 = config.beta1, .weight_decay = config.weight_decay};
  AdamW student(views.student.trainable, options), critic(views.critic.trainable, options);
  return {config, std::move(views), Discriminator{nullptr}, std::move(student), std::move(critic),
          levels};
}

/// Samples [count,2,1,1] whose last step is `step`.
Tensor samples_of(Distillation& d, int64_t step, int64_t count) {
  StepDraws draws;
  draws.student_step = step;
  for (int64_t j = 0; j <= step; ++j) {
    draws.rollout.push_back(
        draw_normal({77, fmt::format("samples {}", step), j}, {count, 2, 1, 1}));
  }
  return simulate_student(d, {}, draws, false);
}

constexpr int64_t kSamples = 20000;

Tensor final_samples(Distillation& d) {
  return samples_of(d, static_cast<int64_t>(d.config.timesteps.size()) - 1, kSamples);
}

/// after_turn: called behind each of the student's turns; may be empty.
void distill(Distillation& d, uint64_t seed, const std::function<void()>& after_turn = {}) {
  at::set_num_threads(1);
  for (int64_t i = 0; i < d.config.iterations; ++i) {
    const StepDraws draws = draw_step(d.config, seed, i, {d.config.batch, 2, 1, 1});
    const StepSchedule schedule = schedule_of(d.config, i);
    train_step(d, {}, draws, schedule);
    if (after_turn && schedule.is_student_turn) after_turn();
  }
}

DistillConfig mixture_config() {
  DistillConfig config;
  config.batch = 256;
  config.cfg_scale = 1;
  config.last_lr_share = 0.05;
  return config;
}

TEST(Mixture, TheTeacherIsTheScoreOfItsDensity) {
  const NoiseLevels levels = noise_levels_of(make_sdxl_noise_schedule());
  const NoisyMixture mixture(true_parts(), levels);
  const Tensor t = torch::tensor({5, 300, 600, 980}, torch::kInt64);
  const Tensor x = draw_normal({1, "x", 0}, {4, 2}).requires_grad_(true);
  mixture.log_densities(x, t).logsumexp(1).sum().backward();
  const Tensor expected = -levels.sigmas.index_select(0, t).unsqueeze(1) * x.grad();
  EXPECT_TRUE(
      at::allclose(mixture.eps(x.detach().view({4, 2, 1, 1}), t).flatten(1), expected, 1e-4, 1e-5));
}

TEST(Mixture, SamplesOfTheMixtureHaveItsParts) {
  const Parts parts = true_parts();
  const Tensor roots = at::linalg_cholesky(parts.covariances);
  const Tensor choice =
      at::bucketize(draw_uniform({1, "part", 0}, kSamples), parts.shares.cumsum(0)).clamp_max(2);
  const Tensor noise = draw_normal({1, "noise", 0}, {kSamples, 2, 1});
  const Tensor x = parts.centres.index_select(0, choice) +
                   roots.index_select(0, choice).matmul(noise).squeeze(-1);
  expect_within(errors_of(x), {0.02, 0.05, 0.05});
}

// From one step at 399 the start is far off: its samples are the teacher's blurred estimates.
TEST(Mixture, AOneStepStudentRecoversIt) {
  DistillConfig config = mixture_config();
  config.timesteps = {399};
  config.iterations = 5000;
  config.student_lr = config.critic_lr = 5e-3;
  Distillation d = mixture_distillation(config);
  const Errors start = errors_of(final_samples(d));
  EXPECT_GT(start.centres, 0.5);
  EXPECT_GT(start.covariances, 0.3);
  distill(d, 1);
  expect_within(errors_of(final_samples(d)), {0.03, 0.15, 0.15});
}

// The critic is not told which step a sample is of, so the loss determines the mixture of all steps' samples; the
// last step alone may trade some mass with the others.
TEST(Mixture, AFourStepStudentRecoversIt) {
  DistillConfig config = mixture_config();
  config.iterations = 10000;
  config.student_lr = 1e-3;
  config.critic_lr = 5e-3;
  Distillation d = mixture_distillation(config);
  const Errors start = errors_of(final_samples(d));
  EXPECT_GT(start.centres, 0.5);
  EXPECT_GT(start.covariances, 0.3);
  distill(d, 1);
  expect_within(errors_of(final_samples(d)), {0.12, 0.4, 0.25});
  std::vector<Tensor> all;
  for (int64_t k = 0; k < 4; ++k) all.push_back(samples_of(d, k, kSamples / 4));
  expect_within(errors_of(at::cat(all)), {0.03, 0.15, 0.15});
}

/// How far the mean of the same noise's samples swings between the student's turns, in the second half of a run whose
/// learning rates do not fall: root of the mean squared distance from their average.
double swing_of_means(int64_t critic_ratio) {
  constexpr int64_t kTurns = 600;
  DistillConfig config = mixture_config();
  config.timesteps = {399};
  config.critic_ratio = critic_ratio;
  config.iterations = kTurns * critic_ratio;
  config.student_lr = config.critic_lr = 5e-3;
  config.last_lr_share = 1;
  config.ema = 0;
  Distillation d = mixture_distillation(config);
  std::vector<Tensor> means;
  distill(d, 1, [&] { means.push_back(samples_of(d, 0, 2000).flatten(1).mean(0)); });
  const Tensor late = at::stack(means).slice(0, kTurns / 2);
  return (late - late.mean(0)).square().sum(1).mean().sqrt().item<double>();
}

// The paper's appendix C: with one critic update per student update the critic lags behind, and global statistics
// (mean brightness there) swing; five updates calm them.
TEST(Mixture, ACriticThatLagsMakesTheStudentSwing) {
  const double lagging = swing_of_means(1), following = swing_of_means(5);
  fmt::print("swing of the mean: {:.4f} with ratio 1, {:.4f} with ratio 5\n", lagging, following);
  EXPECT_GT(lagging, 2 * following);
}

}  // namespace
}  // namespace fourstep
