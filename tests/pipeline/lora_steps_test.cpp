#include "pipeline/lora_steps.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/tiny_run.h"

namespace fourstep {
namespace {

class LoraSteps : public testing::TinyRun {
 protected:
  void SetUp() override {
    TinyRun::SetUp();
    testing::write_tiny_lora(lora());
  }

  Request with(const char* weights) const {
    Request r = request();
    value_from_text(FieldInfo{"lora", ""}, lora() + ":" + weights, r.loras);
    return r;
  }

  Tensor latent(const char* weights) { return run(with(weights))[0].latent; }

  /// A weight of the UNet that the LoRA changes.
  static Tensor changed_weight(Models& models) {
    constexpr const char* kName = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight";
    return models.unet({})->named_parameters()[kName].detach().clone();
  }

  Tensor worn_at(double weight) {
    Models models(request(), {});
    models.set_loras({{lora(), weight, weight}}, false, {});
    return changed_weight(models);
  }
};

TEST_F(LoraSteps, TheNetworkWearsTheWeightOfEachStep) {
  Models models(request(), {});
  models.set_loras(with("1@0,0.25@2").loras, false, {});
  const std::vector<double> sigmas = {14, 6, 2, 0};
  std::vector<Tensor> worn;
  const Events events;
  const Denoiser probe = with_lora_steps(
      models, sigmas,
      [&](const Tensor& x, const Tensor&) {
        worn.push_back(changed_weight(models));
        return x;
      },
      events);
  for (const double sigma : {14.0, 8.0, 6.0, 2.0}) {  // 8: a second call of the first step
    probe(torch::zeros({1}), torch::full({1}, sigma, torch::kFloat64));
  }
  ASSERT_EQ(worn.size(), 4u);
  EXPECT_TRUE(torch::equal(worn[0], worn_at(1)));
  EXPECT_TRUE(torch::equal(worn[1], worn_at(1)));
  EXPECT_TRUE(torch::equal(worn[2], worn_at(0.625)));
  EXPECT_TRUE(torch::equal(worn[3], worn_at(0.25)));
}

TEST_F(LoraSteps, OneWeightForAllStepsIsAPlainOne) {
  const Tensor plain = latent("0.7");
  EXPECT_TRUE(torch::equal(latent("0.7@0,0.7@2"), plain));
  Request points = with("0.7");
  points.loras[0].unet_weight.points = {{0.7, 0}, {0.7, 2}};  // not made one number by the parser
  EXPECT_TRUE(torch::equal(run(points)[0].latent, plain));
  EXPECT_TRUE(torch::equal(latent("0.7@0,0.7@2,0@9"), plain)) << "the run ends before the change";
  EXPECT_FALSE(torch::equal(latent("0.7@0,0@2"), plain));
}

TEST_F(LoraSteps, AWeightThatIsZeroFromTheStartIsNoLora) {
  EXPECT_TRUE(torch::equal(latent("0@0,0@2,1@9"), run(request())[0].latent));
}

TEST_F(LoraSteps, TakingTheLoraOffRestoresTheImageToTheBit) {
  Models models(request(), {});
  const Tensor plain = run(models, request())[0].latent;
  const Tensor worn = run(models, with("0@0,1@1"))[0].latent;
  EXPECT_FALSE(torch::equal(worn, plain));
  EXPECT_TRUE(torch::equal(run(models, request())[0].latent, plain));
  EXPECT_TRUE(torch::equal(run(models, with("0@0,1@1"))[0].latent, worn));
}

TEST_F(LoraSteps, EveryImageBeginsItsStepsAnew) {
  Request batch = with("0@0,1@1"), single = batch;
  batch.images = 2;
  single.seed = 8;
  EXPECT_TRUE(torch::equal(run(batch)[1].latent, run(single)[0].latent));
}

TEST_F(LoraSteps, AnInterruptedChangeIsRepairedByTheNextRun) {
  const Tensor whole = latent("1@0,0@1");
  Models models(request(), {});
  int64_t steps = 0, asked = 0;
  Events events;
  events.on_progress = [&](const Progress& p) { steps += p.stage == Stage::kSample && p.step > 0; };
  events.is_cancelled = [&] { return steps == 1 && ++asked > 1; };  // one weight of four later
  EXPECT_THROW(run(models, with("1@0,0@1"), events), Cancelled);
  EXPECT_TRUE(torch::equal(run(models, with("1@0,0@1"))[0].latent, whole));
}

}  // namespace
}  // namespace fourstep
