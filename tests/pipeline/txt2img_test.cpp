#include "pipeline/txt2img.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "io/single_file.h"
#include "support/scaled_fp8.h"
#include "support/tiny_run.h"

namespace fourstep {
namespace {

class Txt2Img : public testing::TinyRun {
 protected:
  Tensor latent_of(const std::string& prompt) {
    Request r = request();
    r.prompt.text = prompt;
    return run(r)[0].latent;
  }
};

TEST_F(Txt2Img, GivesTheSameImageFromTheSameRequest) {
  const auto first = run(request()), second = run(request());
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].image.sizes(), (Shape{1, 3, 64, 64}));
  EXPECT_TRUE(torch::equal(first[0].latent, second[0].latent));
  EXPECT_TRUE(torch::equal(first[0].image, second[0].image));
}

TEST_F(Txt2Img, ImageOfABatchEqualsTheSingleRun) {
  Request batch = request(), single = request();
  batch.picture.images = 3;
  single.picture.seed = 9;
  const auto images = run(batch);
  ASSERT_EQ(images.size(), 3u);
  EXPECT_EQ(images[2].seed, 9u);
  EXPECT_TRUE(torch::equal(images[2].latent, run(single)[0].latent));
}

TEST_F(Txt2Img, ImagesSampledAtOnceEqualTheSingleRunsUpToRounding) {
  for (const char* sampler : {"lcm", "dpmpp_2m_sde", "dpm_adaptive"}) {
    Request alone = request(), at_once = request();
    alone.sampling.sampler = at_once.sampling.sampler = sampler;
    alone.picture.images = at_once.picture.images = 3;
    alone.sampling.cfg_scale = at_once.sampling.cfg_scale = 2;
    at_once.picture.batch = 2;
    const auto expected = run(alone), images = run(at_once);
    ASSERT_EQ(images.size(), 3u);
    for (size_t i = 0; i < images.size(); ++i) {
      EXPECT_EQ(images[i].seed, expected[i].seed);
      const double error = (images[i].latent - expected[i].latent).abs().max().item<double>();
      EXPECT_LE(error, 2e-4) << sampler << ", image " << i;
    }
    EXPECT_FALSE(torch::allclose(images[1].latent, images[0].latent, 0.1, 0.1)) << sampler;
  }
}

TEST_F(Txt2Img, PromptSeedSizeAndGuidanceMatter) {
  const Tensor plain = run(request())[0].latent;
  Request other = request();
  other.prompt.text = "a fox";
  EXPECT_FALSE(torch::equal(run(other)[0].latent, plain));
  other = request();
  other.noise.origin = NoiseChoice::kNv;
  EXPECT_FALSE(torch::equal(run(other)[0].latent, plain));
  other = request();
  other.sampling.cfg_scale = 4;
  const Tensor guided = run(other)[0].latent;
  EXPECT_FALSE(torch::equal(guided, plain));
  other.prompt.negative = "fox";
  EXPECT_FALSE(torch::equal(run(other)[0].latent, guided));
}

TEST_F(Txt2Img, TakingALoraOffRestoresTheImageToTheBit) {
  testing::write_tiny_lora(lora());
  Models models(request().files, {});
  const Tensor plain = run(models, request())[0].latent;
  Request with = request();
  with.files.loras = {{lora(), 0.7, 0.7}};
  const Tensor worn = run(models, with)[0].latent;
  EXPECT_GT((worn - plain).abs().max().item<double>(), 1e-3);
  with.files.loras[0].unet_weight = -0.85;
  run(models, with);
  EXPECT_TRUE(torch::equal(run(models, request())[0].latent, plain));
  with.files.loras[0].unet_weight = 0.7;
  EXPECT_TRUE(torch::equal(run(models, with)[0].latent, worn)) << "and putting it on again";
}

TEST_F(Txt2Img, TwoHalvesOfALoraEqualTheWhole) {
  testing::write_tiny_lora(lora());
  Request whole = request(), halves = request();
  whole.files.loras = {{lora(), 1, 1}};
  halves.files.loras = {{lora(), 0.5, 0.5}, {lora(), 0.5, 0.5}};
  EXPECT_TRUE(torch::equal(run(whole)[0].latent, run(halves)[0].latent));
}

TEST_F(Txt2Img, AModelInScaledFp8GivesThePictureOfItsTrueValues) {
  testing::write_scaled_fp8(single_file_of(testing::tiny_sdxl()),
                            folder_.path() / "scaled.safetensors",
                            folder_.path() / "truth.safetensors");
  testing::write_tiny_lora(lora());
  Request scaled = request(), truth = request();
  scaled.files.model = folder_.path() / "scaled.safetensors";
  truth.files.model = folder_.path() / "truth.safetensors";
  EXPECT_TRUE(torch::equal(run(scaled)[0].image, run(truth)[0].image));
  scaled.files.loras = truth.files.loras = {{lora(), 0.7, 0.7}};
  EXPECT_TRUE(torch::equal(run(scaled)[0].image, run(truth)[0].image));
}

TEST_F(Txt2Img, StopsWithinAStep) {
  int64_t steps = 0;
  Events events;
  events.on_progress = [&](const Progress& p) { steps += p.stage == Stage::kSample && p.step > 0; };
  events.is_cancelled = [&] { return steps == 2; };
  EXPECT_THROW(run(request(), events), Cancelled);
  EXPECT_EQ(steps, 2);
}

TEST_F(Txt2Img, AnInterruptedFusionLeavesNothingHalfMade) {
  testing::write_tiny_lora(lora());
  Request with = request();
  with.files.loras = {{lora(), 0.7, 0.7}};
  const Tensor whole = run(with)[0].latent;
  Models models(with.files, {});
  Stage stage = Stage::kLoad;
  Events events;
  events.on_progress = [&](const Progress& p) { stage = p.stage; };
  events.is_cancelled = [&] { return stage == Stage::kFuse; };
  EXPECT_THROW(run(models, with, events), Cancelled);
  EXPECT_TRUE(torch::equal(run(models, with)[0].latent, whole));
}

TEST_F(Txt2Img, ProgressCountsEveryStepOfEveryStage) {
  std::map<Stage, int64_t> last;
  Events events;
  events.on_progress = [&](const Progress& p) {
    if (p.step == p.num_steps) last[p.stage] = p.num_steps;
  };
  run(request(), events);
  EXPECT_EQ(last[Stage::kSample], 3);
  EXPECT_EQ(last.count(Stage::kLoad), 1u);
  EXPECT_EQ(last.count(Stage::kEncode), 1u);
  EXPECT_EQ(last.count(Stage::kDecode), 1u);
}

TEST_F(Txt2Img, NanWeightsAreSaidInOneSentence) {
  testing::write_tiny_sdxl(model(), [](Checkpoint& checkpoint) {
    checkpoint.components[Component::kUnet]["conv_out.bias"].fill_(std::nan(""));
  });
  try {
    run(request());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("tiny.safetensors"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("NaN"), std::string::npos);
  }
}

TEST_F(Txt2Img, AMissingVaeIsNamedAndAnotherFileHelps) {
  const std::string vae = path("vae.safetensors");
  testing::write_tiny_sdxl(vae);
  const Tensor with_own = run(request())[0].image;
  testing::write_tiny_sdxl(
      model(), [](Checkpoint& checkpoint) { checkpoint.components.erase(Component::kVae); });
  EXPECT_THROW(run(request()), Error);
  Request r = request();
  r.files.vae = vae;
  EXPECT_TRUE(torch::equal(run(r)[0].image, with_own));
}

TEST_F(Txt2Img, AUNetAloneWorksTogetherWithACheckpoint) {
  const std::string unet = path("unet.safetensors");
  testing::write_tiny_sdxl(unet, [](Checkpoint& checkpoint) {
    std::erase_if(checkpoint.components,
                  [](const auto& part) { return part.first != Component::kUnet; });
    checkpoint.components[Component::kUnet]["conv_out.bias"].add_(1);
  });
  Request alone = request(), both = request();
  alone.files.model = unet;
  EXPECT_THROW(run(alone), Error);
  both.files.unet = unet;
  const Tensor changed = run(both)[0].latent;
  EXPECT_FALSE(torch::equal(changed, run(request())[0].latent));
  testing::write_tiny_sdxl(model(), [](Checkpoint& checkpoint) {
    checkpoint.components[Component::kUnet]["conv_out.bias"].add_(1);
  });
  EXPECT_TRUE(torch::equal(run(request())[0].latent, changed));
}

TEST_F(Txt2Img, PartsInFilesOfTheirOwnGiveTheImageOfTheWhole) {
  const Tensor whole = run(request())[0].image;
  const Checkpoint tiny = testing::tiny_sdxl();
  Request r = request();
  r.files.model = path("unet.safetensors");
  r.files.vae = path("vae.safetensors");
  r.files.text_encoder = path("clip_l.safetensors");
  r.files.text_encoder_2 = path("clip_g.safetensors");
  const auto write = [&](const std::string& file, Component component) {
    write_safetensors(file, tiny.components.at(component));
  };
  write(r.files.model, Component::kUnet);
  write(r.files.vae, Component::kVae);
  write(r.files.text_encoder_2, Component::kTextEncoder2);
  write_safetensors(r.files.text_encoder, tiny.components.at(Component::kTextEncoder),
                    {{"fourstep.merges", tiny.merges_text}});
  EXPECT_TRUE(torch::equal(run(r)[0].image, whole));
  NamedTensors decoder = tiny.components.at(Component::kVae);
  std::erase_if(decoder, [](const auto& item) {
    return !item.first.starts_with("decoder.") && !item.first.starts_with("post_quant");
  });
  write_safetensors(r.files.vae, decoder);
  EXPECT_TRUE(torch::equal(run(r)[0].image, whole)) << "and the decoder is enough";
}

TEST_F(Txt2Img, ASecondEncoderWithoutItsProjectionIsSaidBeforeAnythingIsLoaded) {
  testing::write_tiny_sdxl(model(), [](Checkpoint& checkpoint) {
    checkpoint.components[Component::kTextEncoder2].erase("text_projection.weight");
  });
  try {
    Models models(request().files, {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("text_projection.weight"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("--text-encoder-2"), std::string::npos);
  }
}

TEST_F(Txt2Img, VPredictionChangesTheResultAsTheFileSays) {
  Request forced = request();
  forced.networks.prediction = PredictionChoice::kV;
  const Tensor asked = run(forced)[0].latent;
  EXPECT_FALSE(torch::equal(asked, run(request())[0].latent));
  testing::write_tiny_sdxl(model(),
                           [](Checkpoint& checkpoint) { checkpoint.prediction = Prediction::kV; });
  EXPECT_TRUE(torch::equal(run(request())[0].latent, asked));
}

TEST_F(Txt2Img, AScheduleThatNeverSwitchesIsThePlainPrompt) {
  const Tensor cat = latent_of("a cat"), fox = latent_of("a fox");
  EXPECT_TRUE(torch::equal(latent_of("a [cat:fox:9]"), cat));
  EXPECT_TRUE(torch::equal(latent_of("a [cat:fox:0]"), fox));
  const Tensor both = latent_of("a [cat:fox:1]");
  EXPECT_FALSE(torch::equal(both, cat));
  EXPECT_FALSE(torch::equal(both, fox));
}

TEST_F(Txt2Img, EveryImageBeginsItsScheduleAnew) {
  Request batch = request(), single = request();
  batch.prompt.text = single.prompt.text = "a [cat:fox:1]";
  batch.picture.images = 2;
  single.picture.seed = 8;
  EXPECT_TRUE(torch::equal(run(batch)[1].latent, run(single)[0].latent));
}

TEST_F(Txt2Img, PartsOfOneTextAddUpToIt) {
  // u + w (c - u) + (1 - w) (c - u) = c
  const Tensor cat = latent_of("a cat");
  EXPECT_LE((latent_of("a cat :0.25 AND a cat :0.75") - cat).abs().max().item<double>(), 1e-4);
  EXPECT_LE((latent_of("a cat :0.5 AND a fox :0 AND a cat :0.5") - cat).abs().max().item<double>(),
            1e-4);
  EXPECT_GT((latent_of("a cat AND a fox") - cat).abs().max().item<double>(), 1e-3);
}

TEST_F(Txt2Img, AWeightOfThePromptIsAScaleOfGuidance) {
  // u + 2 (c - u), with the scale 1 and the part's weight 2 or the other way round.
  Request scaled = request();
  scaled.sampling.cfg_scale = 2;
  EXPECT_LE((latent_of("a cat :2") - run(scaled)[0].latent).abs().max().item<double>(), 1e-4);
}

TEST_F(Txt2Img, WeightsActByTheChosenMathematics) {
  const Tensor plain = latent_of("a cat");
  std::vector<Tensor> latents;
  for (const Emphasis emphasis :
       {Emphasis::kOriginal, Emphasis::kNoNorm, Emphasis::kComfy, Emphasis::kIgnore}) {
    Request r = request();
    r.prompt.text = "a (cat:1.5)";
    r.prompt.emphasis = emphasis;
    latents.push_back(run(r)[0].latent);
    EXPECT_EQ(torch::equal(latents.back(), plain), emphasis == Emphasis::kIgnore)
        << text_from_value(emphasis);
  }
  EXPECT_FALSE(torch::equal(latents[0], latents[1]));
  EXPECT_FALSE(torch::equal(latents[1], latents[2]));
  EXPECT_TRUE(torch::equal(latent_of("a (cat:1.5)"), latents[1])) << "the dialect's own";
}

TEST_F(Txt2Img, EmbeddingsAreWordsAndMustFitTheModel) {
  const std::string folder = path("embeddings");
  std::filesystem::create_directory(folder);
  testing::write_tiny_inversion(folder + "/blue.safetensors");
  write_safetensors(folder + "/old.safetensors", {{"emb_params", torch::ones({1, 7})}});
  Request r = request();
  r.prompt.text = "a blue cat";
  const Tensor word = run(r)[0].latent;
  r.prompt.embedding_dir = {folder};
  const Tensor learned = run(r)[0].latent;
  EXPECT_FALSE(torch::equal(learned, word));
  r.sampling.dialect = Dialect::kComfy;
  r.prompt.text = "a embedding:blue cat";
  EXPECT_EQ(run(r).size(), 1u);
  r.prompt.text = "a embedding:old cat";
  EXPECT_THROW(run(r), Error);
}

TEST_F(Txt2Img, TheTextEncodersWeightOfALoraIsItsOwn) {
  const int64_t width = testing::kTinyTextWidth;
  NamedTensors tensors;
  const std::string name = "lora_te1_text_model_encoder_layers_0_mlp_fc1";
  tensors[name + ".lora_down.weight"] = torch::ones({1, width});
  tensors[name + ".lora_up.weight"] = torch::ones({width, 1});
  tensors[name + ".alpha"] = torch::tensor(1.f);
  write_safetensors(lora(), tensors);
  const Tensor plain = run(request())[0].latent;
  Request with = request();
  with.files.loras = {{lora(), 1, 0}};
  EXPECT_TRUE(torch::equal(run(with)[0].latent, plain)) << "the file has no part for the UNet";
  with.files.loras = {{lora(), 0, 1}};
  EXPECT_FALSE(torch::equal(run(with)[0].latent, plain));
}

TEST_F(Txt2Img, ACacheOfEncodingsGivesTheSameImages) {
  Models models(request().files, {});
  EncodingCache cache;
  const ResolvedRequest r = resolve(request(), models.traits());
  const PromptPlan first = encode_prompts(models, r, {}, cache);
  EXPECT_EQ(cache.by_text.size(), 1u);
  const PromptPlan second = encode_prompts(models, r, {}, cache);
  EXPECT_EQ(first.stages[0].cond.context.data_ptr(), second.stages[0].cond.context.data_ptr());
  ResolvedRequest other = r;
  other.prompt.clip_skip = 1;
  EXPECT_NO_THROW(encode_prompts(models, other, {}, cache));
  EXPECT_EQ(cache.by_text.size(), 1u) << "of the other setting";
}

TEST_F(Txt2Img, LongAndEmptyPromptsWork) {
  Request r = request();
  r.prompt.text = "";
  EXPECT_EQ(run(r).size(), 1u);
  r.prompt.text = std::string(5000, 'x');
  r.sampling.cfg_scale = 3;
  r.prompt.negative = "cat";
  EXPECT_EQ(run(r).size(), 1u);
}

TEST_F(Txt2Img, SizesThatAreNoMultipleOfTheUNetsStrideWork) {
  Request r = request();
  r.picture.width = 72;
  r.picture.height = 88;
  EXPECT_EQ(run(r)[0].image.sizes(), (Shape{1, 3, 88, 72}));
}

TEST_F(Txt2Img, TiledDecodingIsCloseToWhole) {
  Request r = request();
  r.picture.width = r.picture.height = 256;
  const Tensor whole = run(r)[0].image;
  r.networks.vae_tile = 192;
  const Tensor tiled = run(r)[0].image;
  EXPECT_EQ(tiled.sizes(), whole.sizes());
  EXPECT_LT((tiled - whole).abs().mean().item<double>(), 0.1 * whole.abs().mean().item<double>());
}

}  // namespace
}  // namespace fourstep
