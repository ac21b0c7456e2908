#include "pipeline/sample_pass.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/tiny_run.h"

namespace fourstep {
namespace {

/// A network for three prompts at once: row i pulls to the number i.
Tensor row_numbers(const Tensor& x, const Tensor& sigma) {
  const Tensor rows = at::arange(x.size(0), torch::kFloat32).view({-1, 1, 1, 1});
  return rows + 0.1 * x / (1 + sigma.to(torch::kFloat32).view({-1, 1, 1, 1}).square()).sqrt();
}

TEST(SamplePass, EveryRowHasItsOwnNoiseAndItsOwnPrompt) {
  for (const char* sampler : {"euler", "euler_ancestral", "dpmpp_2m_sde"}) {
    Request asked;
    asked.sampling.sampler = sampler;
    asked.sampling.steps = 4;
    const ResolvedRequest request = resolve(asked, {});
    const SamplingPlan plan = plan_sampling(request.sampling, make_sdxl_noise_schedule());
    const std::vector<ImageSeed> seeds = {{.seed = 3}, {.seed = 9}, {.seed = 3}};
    const Tensor all =
        sample_pass(plan, {row_numbers, {}}, {.seeds = seeds, .width = 64, .height = 32});
    EXPECT_EQ(all.sizes(), (Shape{3, 4, 4, 8}));
    for (size_t row = 0; row < seeds.size(); ++row) {
      const Denoiser alone = [&](const Tensor& x, const Tensor& sigma) {
        return row_numbers(x, sigma) + static_cast<double>(row);
      };
      const PassStart start{.seeds = std::span(seeds).subspan(row, 1), .width = 64, .height = 32};
      EXPECT_LE((sample_pass(plan, {alone, {}}, start) - all[row]).abs().max().item<double>(), 1e-4)
          << sampler << ", row " << row;
    }
  }
}

TEST(SamplePass, NoiseLiesOverTheLatentThatItStartsFrom) {
  Request asked;
  asked.sampling.sampler = "euler";
  asked.sampling.sigmas = {2, 0};
  const ResolvedRequest request = resolve(asked, {});
  const SamplingPlan plan = plan_sampling(request.sampling, make_sdxl_noise_schedule());
  const ImageSeed seeds[] = {{.seed = 3}};
  Tensor seen;
  const Denoiser probe = [&](const Tensor& x, const Tensor&) { return seen = x; };
  const Tensor latent = torch::full({1, 4, 4, 8}, 5.0f);
  const PassStart start{.seeds = seeds, .width = 64, .height = 32, .latent = latent};
  sample_pass(plan, {probe, {}}, start);
  const Tensor noise = make_torch_noise(3)({1, 4, 4, 8});
  // 1 of variance and 2 of noise: sqrt(1 + 4), as fourstep's dialect scales the first noise.
  EXPECT_LE((seen - (latent + noise * std::sqrt(5.0))).abs().max().item<double>(), 1e-5);
}

class LoraSteps : public testing::TinyRun {
 protected:
  void SetUp() override {
    TinyRun::SetUp();
    testing::write_tiny_lora(lora());
  }

  Request with(const char* weights) const {
    Request r = request();
    value_from_text(FieldInfo{"lora", ""}, lora() + ":" + weights, r.files.loras);
    return r;
  }

  Tensor latent(const char* weights) { return run(with(weights))[0].latent; }

  /// A weight of the UNet that the LoRA changes.
  static Tensor changed_weight(Models& models) {
    constexpr const char* kName = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight";
    return models.unet({})->named_parameters()[kName].detach().clone();
  }

  Tensor weight_with(double weight) {
    Models models(request().files, {});
    models.set_loras({{lora(), weight, weight}}, false, {});
    return changed_weight(models);
  }
};

TEST_F(LoraSteps, TheNetworkHasTheWeightOfEachStep) {
  Models models(request().files, {});
  models.set_loras(with("1@0,0.25@2").files.loras, false, {});
  const std::vector<double> sigmas = {14, 6, 2, 0};
  std::vector<Tensor> seen;
  const Events events;
  const Denoiser probe = with_lora_steps(
      models, sigmas,
      [&](const Tensor& x, const Tensor&) {
        seen.push_back(changed_weight(models));
        return x;
      },
      events);
  for (const double sigma : {14.0, 8.0, 6.0, 2.0}) {  // 8: a second call of the first step
    probe(torch::zeros({1}), torch::full({1}, sigma, torch::kFloat64));
  }
  ASSERT_EQ(seen.size(), 4u);
  EXPECT_TRUE(torch::equal(seen[0], weight_with(1)));
  EXPECT_TRUE(torch::equal(seen[1], weight_with(1)));
  EXPECT_TRUE(torch::equal(seen[2], weight_with(0.625)));
  EXPECT_TRUE(torch::equal(seen[3], weight_with(0.25)));
}

TEST_F(LoraSteps, OneWeightForAllStepsIsAPlainOne) {
  const Tensor plain = latent("0.7");
  EXPECT_TRUE(torch::equal(latent("0.7@0,0.7@2"), plain));
  Request points = with("0.7");
  points.files.loras[0].unet_weight.points = {{0.7, 0},
                                              {0.7, 2}};  // not made one number by the parser
  EXPECT_TRUE(torch::equal(run(points)[0].latent, plain));
  EXPECT_TRUE(torch::equal(latent("0.7@0,0.7@2,0@9"), plain)) << "the run ends before the change";
  EXPECT_FALSE(torch::equal(latent("0.7@0,0@2"), plain));
}

TEST_F(LoraSteps, AWeightThatIsZeroFromTheStartIsNoLora) {
  EXPECT_TRUE(torch::equal(latent("0@0,0@2,1@9"), run(request())[0].latent));
}

TEST_F(LoraSteps, TakingTheLoraOffRestoresTheImageToTheBit) {
  Models models(request().files, {});
  const Tensor plain = run(models, request())[0].latent;
  const Tensor seen = run(models, with("0@0,1@1"))[0].latent;
  EXPECT_FALSE(torch::equal(seen, plain));
  EXPECT_TRUE(torch::equal(run(models, request())[0].latent, plain));
  EXPECT_TRUE(torch::equal(run(models, with("0@0,1@1"))[0].latent, seen));
}

TEST_F(LoraSteps, EveryImageBeginsItsStepsAnew) {
  Request batch = with("0@0,1@1"), single = batch;
  batch.picture.images = 2;
  single.picture.seed = 8;
  EXPECT_TRUE(torch::equal(run(batch)[1].latent, run(single)[0].latent));
}

TEST_F(LoraSteps, AnInterruptedChangeIsRepairedByTheNextRun) {
  const Tensor whole = latent("1@0,0@1");
  Models models(request().files, {});
  int64_t steps = 0, asked = 0;
  Events events;
  events.on_progress = [&](const Progress& p) { steps += p.stage == Stage::kSample && p.step > 0; };
  events.is_cancelled = [&] { return steps == 1 && ++asked > 1; };  // one weight of four later
  EXPECT_THROW(run(models, with("1@0,0@1"), events), Cancelled);
  EXPECT_TRUE(torch::equal(run(models, with("1@0,0@1"))[0].latent, whole));
}

}  // namespace
}  // namespace fourstep
