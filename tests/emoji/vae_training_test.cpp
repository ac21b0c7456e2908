#include "emoji/vae_training.h"

#include <gtest/gtest.h>

#include <functional>

#include "support/files.h"
#include "support/golden.h"
#include "train/random.h"

namespace fourstep {
namespace {

TrainConfig tiny_vae_config(const std::filesystem::path& folder = {}) {
  TrainConfig config;
  config.out = folder.string();
  config.vae_channels = {32, 32};
  config.vae_iterations = 4;
  config.decoder_iterations = 4;
  config.save_every = 2;
  config.vae_kl = 0.1;
  return config;
}

Tensor random_images(int64_t seed, int64_t count = 4) {
  return draw_normal({static_cast<uint64_t>(seed), "images", 0}, {count, 3, 16, 16}).tanh();
}

/// Everything that is encoded becomes this mean and log variance.
void fix_posterior(Vae& vae, double mean, double logvar) {
  const int64_t channels = vae->config.latent_channels;
  vae->quant_conv->weight.zero_();
  vae->quant_conv->bias.narrow(0, 0, channels).fill_(mean);
  vae->quant_conv->bias.narrow(0, channels, channels).fill_(logvar);
}

TEST(VaeLosses, KlIsThatOfTwoNormalDistributions) {
  Vae vae = make_vae(tiny_vae_config());
  const torch::NoGradGuard no_grad;
  for (const auto& [mean, logvar] : {std::pair{0.0, 0.0}, {2.0, 0.0}, {0.0, -3.0}, {-1.0, 1.5}}) {
    fix_posterior(vae, mean, logvar);
    const VaeLosses losses =
        vae_losses(vae, random_images(1), torch::zeros({4, 4, 8, 8}), tiny_vae_config());
    const double variance = std::exp(logvar);  // KL(N(mean, variance) || N(0, 1))
    EXPECT_NEAR(losses.kl.value(),
                0.5 * (mean * mean + variance) - 0.5 - std::log(std::sqrt(variance)), 1e-5);
  }
}

TEST(VaeLosses, AddUpWithTheirWeights) {
  TrainConfig config = tiny_vae_config();
  config.vae_kl = 0.25;
  config.vae_edges = 3;
  Vae vae = make_vae(config);
  const torch::NoGradGuard no_grad;
  const VaeLosses losses = vae_losses(vae, random_images(1), torch::zeros({4, 4, 8, 8}), config);
  EXPECT_NEAR(losses.total.item<double>(),
              losses.pixels + 3 * losses.edges + 0.25 * losses.kl.value(), 1e-5);
}

// A decoder that returns one colour misses all edges of the picture and none of its own.
TEST(VaeLosses, EdgesAreNeighbourDifferencesOnThreeScales) {
  Vae vae = make_vae(tiny_vae_config());
  const torch::NoGradGuard no_grad;
  vae->decoder->conv_out->weight.zero_();
  vae->decoder->conv_out->bias.fill_(0.5);
  const auto losses_of = [&](const Tensor& image) {
    return vae_losses(vae, image, torch::zeros({1, 4, 8, 8}), tiny_vae_config());
  };
  const VaeLosses flat = losses_of(torch::full({1, 3, 16, 16}, -0.25));
  EXPECT_NEAR(flat.edges, 0, 1e-7);
  EXPECT_NEAR(flat.pixels, 0.75, 1e-6);
  // Halves of -1 and 1: a step of 2 between two of n columns, for n = 16, 8, 4.
  Tensor halves = torch::full({1, 3, 16, 16}, -1.f);
  halves.narrow(3, 8, 8).fill_(1);
  EXPECT_NEAR(losses_of(halves).edges, 2. / 15 + 2. / 7 + 2. / 3, 1e-6);
}

TEST(VaeLosses, NoiseIsScaledByThePosteriorsDeviation) {
  Vae vae = make_vae(tiny_vae_config());
  const torch::NoGradGuard no_grad;
  const Tensor images = random_images(1), noise = draw_normal({1, "n", 0}, {4, 4, 8, 8});
  fix_posterior(vae, 0.5, 2 * std::log(0.3));
  const Tensor restored = vae->decode(0.5 + 0.3 * noise);
  EXPECT_NEAR(vae_losses(vae, images, noise, tiny_vae_config()).pixels,
              (restored - images).abs().mean().item<double>(), 1e-5);
}

TEST(NormalizeLatents, LatentsGetUnitVarianceAndThePictureStays) {
  constexpr double kFactor = 0.13025;
  Vae vae = make_vae(tiny_vae_config());
  const torch::NoGradGuard no_grad;
  // Means and spreads far from where they should be, other ones for each channel.
  vae->quant_conv->bias.narrow(0, 0, 4).copy_(torch::tensor({3.f, -1.f, 0.2f, 0.f}));
  vae->quant_conv->weight.narrow(0, 0, 4).mul_(
      torch::tensor({5.f, 0.1f, 1.f, 2.f}).view({4, 1, 1, 1}));
  const Tensor images = random_images(1, 8), others = random_images(2);
  const LatentMoments before = vae->encode(others);
  const Tensor deviation = before.logvar.mul(0.5).exp(),
               noise = draw_normal({1, "n", 0}, {4, 4, 8, 8});
  const Tensor mode = vae->decode(before.mean),
               sample = vae->decode(before.mean + deviation * noise);
  normalize_latents(vae, images, kFactor);

  const Tensor latents = vae->encode(images).mean.transpose(0, 1).flatten(1) * kFactor;
  EXPECT_LT(latents.mean(1).abs().max().item<double>(), 1e-4);
  EXPECT_LT((latents.std(1) - 1).abs().max().item<double>(), 1e-4);
  const LatentMoments after = vae->encode(others);
  const Tensor spread = after.logvar.mul(0.5).exp();
  EXPECT_LT((vae->decode(after.mean) - mode).abs().max().item<double>(), 1e-4);
  EXPECT_LT((vae->decode(after.mean + spread * noise) - sample).abs().max().item<double>(), 1e-4);
  EXPECT_GT((mode - vae->decode(before.mean)).abs().max().item<double>(), 1e-3)
      << "nothing was changed";
}

TEST(MakeVae, BeginsWithANarrowPosterior) {
  Vae vae = make_vae(tiny_vae_config());
  const torch::NoGradGuard no_grad;
  EXPECT_LT(vae->encode(random_images(1)).logvar.mean().item<double>(), -4);
}

struct VaeKilled {};

/// A run of `train` that dies at an iteration (-1: never), into a folder of its own.
using VaeRun = std::function<void(const TrainConfig& config, bool is_resumed, int64_t kill_at)>;

void expect_resumable(const VaeRun& run, const std::string& name) {
  const testing::TemporaryFolder whole, broken;
  run(tiny_vae_config(whole.path()), false, -1);
  EXPECT_THROW(run(tiny_vae_config(broken.path()), false, 3), VaeKilled);
  run(tiny_vae_config(broken.path()), true, -1);
  for (const std::string& file : {name + ".state.safetensors", name + ".csv"}) {
    EXPECT_EQ(testing::read_file(broken.path() / file), testing::read_file(whole.path() / file))
        << file;
  }
}

ImageBatch dying_batch(int64_t kill_at) {
  return [kill_at](int64_t i) {
    if (i == kill_at) throw VaeKilled();
    return random_images(100 + i, 2);
  };
}

TEST(TrainVae, AKilledAndResumedRunEndsWithTheSameBytes) {
  expect_resumable(
      [](const TrainConfig& config, bool is_resumed, int64_t kill_at) {
        Vae vae = make_vae(config);
        train_vae(vae, config, dying_batch(kill_at), is_resumed, {});
      },
      "vae");
}

TEST(TrainDecoder, AKilledAndResumedRunEndsWithTheSameBytes) {
  expect_resumable(
      [](const TrainConfig& config, bool is_resumed, int64_t kill_at) {
        Vae vae = make_vae(config);
        train_decoder(vae, config, dying_batch(kill_at), is_resumed, {});
      },
      "decoder");
}

TEST(TrainDecoder, LatentsStayAndPicturesComeNearer) {
  const testing::TemporaryFolder folder;
  TrainConfig config = tiny_vae_config(folder.path());
  config.decoder_iterations = 60;
  config.vae_lr = 3e-3;
  Vae vae = make_vae(config);
  const Tensor images = random_images(1);
  const auto look = [&] {
    const torch::NoGradGuard no_grad;
    const LatentMoments moments = vae->encode(images);
    return std::pair(moments.mean.clone(),
                     (vae->decode(moments.mean) - images).abs().mean().item<double>());
  };
  const auto [latent, error] = look();
  train_decoder(vae, config, [&](int64_t) { return images; }, false, {});
  const auto [latent_after, error_after] = look();
  EXPECT_TRUE(torch::equal(latent, latent_after));
  EXPECT_LT(error_after, 0.8 * error);
}

}  // namespace
}  // namespace fourstep
