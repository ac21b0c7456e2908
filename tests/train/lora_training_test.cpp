#include "train/lora_training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/safetensors.h"
#include "support/golden.h"
#include "support/memory_meter.h"
#include "support/pictures.h"
#include "support/tiny_model.h"
#include "train/captions.h"
#include "train/loop.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

class LoraTraining : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new testing::TemporaryFolder();
    testing::write_tiny_sdxl(path("tiny.safetensors"));
    testing::write_tiny_sdxl(path("v.safetensors"),
                             [](Checkpoint& model) { model.prediction = Prediction::kV; });
    testing::write_two_pictures(path("data"));
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string path(const std::string& name) { return (folder_->path() / name).string(); }

  static LoraTrainConfig config(const std::string& out) {
    LoraTrainConfig config;
    config.model = path("tiny.safetensors");
    config.data = path("data");
    config.out = path(out);
    config.resolution = 64;
    config.rank = 4;
    config.alpha = 4;
    config.batch = 2;
    config.iterations = 6;
    config.lr = 3e-3;
    config.warmup = 2;
    config.save_every = 2;
    config.sample_every = 0;
    return config;
  }
  static Models open(const LoraTrainConfig& config, torch::Dtype dtype = torch::kFloat32) {
    return Models(FileSettings{.model = config.model}, {.dtype = dtype, .is_trained = true});
  }
  static void train(const LoraTrainConfig& config, bool is_resumed = false,
                    const Events& events = {}) {
    Models models = open(config);
    train_lora(models, config, is_resumed, events);
  }
  /// Over noise that training does not see.
  static double mean_loss(LoraRun& run) {
    const torch::NoGradGuard no_grad;
    double sum = 0;
    constexpr int64_t kCount = 16;
    for (int64_t i = 0; i < kCount; ++i) {
      sum += lora_loss(run, lora_batch(run, i), 1'000'000 + i).item<double>();
    }
    return sum / kCount;
  }
  static testing::TemporaryFolder* folder_;
};

testing::TemporaryFolder* LoraTraining::folder_ = nullptr;

TEST_F(LoraTraining, LearnsTwoPictures) {
  LoraTrainConfig settings = config("learns");
  settings.targets = "full";
  settings.rank = 16;
  settings.alpha = 16;
  settings.lr = 4e-3;
  settings.iterations = 50;
  settings.caption_dropout = 0;
  settings.min_snr_gamma = 0;
  Models models = open(settings);
  LoraRun run = make_lora_run(models, settings, {});
  const double before = mean_loss(run);
  for (int64_t i = 0; i < settings.iterations; ++i) lora_step(run, i);
  const double after = mean_loss(run);
  EXPECT_LT(after, 0.7 * before) << "from " << before;
}

TEST_F(LoraTraining, LeavesTheModelAloneAndBeginsAsItIs) {
  const LoraTrainConfig settings = config("alone");
  Models models = open(settings);
  const NamedTensors pristine = models.checkpoint().components.at(Component::kUnet);
  LoraRun run = make_lora_run(models, settings, {});
  LoraBatch batch = lora_batch(run, 0);
  const Conditioning cond = encode_captions(run.encoders, batch.captions, batch.sizes);
  const auto predict = [&](Adapter* adapter) {
    const torch::NoGradGuard no_grad;
    const UNetExtras extras{.adapters = branches_of(adapter)};
    return run.unet->forward(
        {batch.latents, torch::tensor({300}), cond.context, cond.pooled, cond.time_ids, &extras});
  };
  const Tensor plain = predict(nullptr);
  EXPECT_TRUE(torch::equal(predict(run.adapter.get()), plain));
  for (int64_t i = 0; i < 3; ++i) lora_step(run, i);
  EXPECT_TRUE(torch::equal(predict(nullptr), plain));
  EXPECT_FALSE(torch::allclose(predict(run.adapter.get()), plain));
  EXPECT_TRUE(torch::equal(run.unet->conv_in->weight, pristine.at("conv_in.weight")));
}

TEST_F(LoraTraining, WritesALoraThatFitsTheModelAndActsAsTrained) {
  const LoraTrainConfig settings = config("fits");
  Models models = open(settings);
  train_lora(models, settings, false, {});
  LoraRun run = make_lora_run(models, settings, {});
  copy_tensors(
      take_prefixed(load_training_state(settings.out + "/lora.state.safetensors").tensors, "lora"),
      run.factors, "state");
  const torch::NoGradGuard no_grad;
  const LoraBatch batch = lora_batch(run, 0);
  const Conditioning cond = encode_captions(run.encoders, batch.captions, batch.sizes);
  UNetInput input{batch.latents, torch::tensor({300}), cond.context, cond.pooled, cond.time_ids};
  const Tensor plain = run.unet->forward(input);
  const UNetExtras extras{.adapters = run.adapter->branches()};
  input.extras = &extras;
  const Tensor adapted = run.unet->forward(input);
  input.extras = nullptr;

  Models other = open(settings);
  const auto lines = other.set_loras({{settings.out + "/lora_fp32.safetensors"}},
                                     /*is_partial_allowed=*/false, {});
  EXPECT_EQ(lines.front(),
            fmt::format("lora_fp32.safetensors: {0}/{0} modules", run.adapter->num_modules()));
  const Tensor fused = other.unet({})->forward(input);
  EXPECT_GT((adapted - plain).abs().max().item<double>(), 1e-3) << "the LoRA does something";
  EXPECT_LT((adapted - fused).abs().max().item<double>(), 1e-4) << "fp32, sums in another order";
  EXPECT_NO_THROW(other.set_loras({{settings.out + "/lora_fp16.safetensors"}}, false, {}));
}

TEST_F(LoraTraining, ResumedAfterAStopEndsWithTheSameBytes) {
  const LoraTrainConfig whole = config("whole"), stopped = config("stopped");
  train(whole);
  for (const int stop_at : {1, 2}) {
    Events events;
    int steps = 0;
    events.on_progress = [&](const Progress& progress) {
      steps += progress.stage == Stage::kTrain;
    };
    events.is_cancelled = [&] { return steps > stop_at; };
    EXPECT_THROW(train(stopped, true, events), Cancelled);
  }
  train(stopped, true);
  const NamedTensors a = open_safetensors(whole.out + "/lora_fp32.safetensors").tensors;
  const NamedTensors b = open_safetensors(stopped.out + "/lora_fp32.safetensors").tensors;
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) EXPECT_TRUE(torch::equal(tensor, b.at(name))) << name;
  EXPECT_EQ(testing::read_file(whole.out + "/lora.csv"),
            testing::read_file(stopped.out + "/lora.csv"));
}

TEST_F(LoraTraining, RefusesToResumeWithOtherDataOrSettings) {
  LoraTrainConfig settings = config("resumed");
  settings.data = path("own data");
  testing::write_two_pictures(settings.data);
  train(settings);
  EXPECT_THAT(testing::message_of<Error>([&] { train(settings); }), HasSubstr("--resume"));
  LoraTrainConfig faster = settings;
  faster.lr = 1e-2;
  EXPECT_THAT(testing::message_of<Error>([&] { train(faster, true); }), HasSubstr("lr 0.003"));
  testing::write_file(settings.data + "/lying.txt", "a dog");
  EXPECT_THAT(testing::message_of<Error>([&] { train(settings, true); }),
              HasSubstr("data 2 images"));
}

TEST_F(LoraTraining, TellsOtherProgramsWhatItWasTrainedOn) {
  LoraTrainConfig settings = config("described");
  settings.data = path("groups");
  testing::write_two_pictures(settings.data + "/3_pet");
  testing::write_file(settings.data + "/3_pet/standing.txt", "a cat, red");
  settings.epochs = 2;
  train(settings);
  const auto metadata = open_safetensors(settings.out + "/lora_fp16.safetensors").metadata;
  EXPECT_EQ(metadata.at("ss_network_dim"), "4");
  EXPECT_EQ(metadata.at("ss_network_alpha"), "4");
  EXPECT_EQ(metadata.at("ss_base_model_version"), "sdxl_base_v1-0");
  EXPECT_EQ(metadata.at("ss_num_train_images"), "6");
  EXPECT_EQ(metadata.at("ss_num_batches_per_epoch"), "4");  // two shapes, three each, in twos
  EXPECT_EQ(metadata.at("ss_max_train_steps"), "8");
  EXPECT_EQ(metadata.at("ss_num_epochs"), "2");
  EXPECT_EQ(metadata.at("ss_resolution"), "(64, 64)");
  EXPECT_EQ(metadata.at("ss_dataset_dirs"), R"({"3_pet":{"n_repeats":3,"img_count":2}})");
  EXPECT_EQ(metadata.at("ss_tag_frequency"), R"({"3_pet":{"a cat":2,"red":1}})");
  for (const auto& [key, text] : metadata) {
    EXPECT_EQ(text.find(folder_->path().string()), std::string::npos)
        << key << " names a folder of this machine";
  }
}

TEST_F(LoraTraining, TrainsVelocityModelsOnVelocities) {
  LoraTrainConfig settings = config("velocity");
  settings.model = path("v.safetensors");
  settings.min_snr_gamma = 0;
  settings.caption_dropout = 0;
  Models models = open(settings);
  LoraRun run = make_lora_run(models, settings, {});
  ASSERT_EQ(run.output, NetworkOutput::kV);
  const LoraBatch batch = lora_batch(run, 0);
  const double v = lora_loss(run, batch, 0).item<double>();
  run.output = NetworkOutput::kEps;
  EXPECT_NE(lora_loss(run, batch, 0).item<double>(), v);
  settings.prediction = "epsilon";
  EXPECT_EQ(make_lora_run(models, settings, {}).output, NetworkOutput::kEps);
}

TEST_F(LoraTraining, DroppedCaptionsSayNothing) {
  LoraTrainConfig settings = config("dropped");
  settings.caption_dropout = 1;
  Models models = open(settings);
  LoraRun run = make_lora_run(models, settings, {});
  LoraBatch batch = lora_batch(run, 0);
  const Tensor loss = lora_loss(run, batch, 0);
  batch.captions = {"fox a cat"};
  EXPECT_TRUE(torch::equal(lora_loss(run, batch, 0), loss));
  run.config.caption_dropout = 0;
  EXPECT_FALSE(torch::equal(lora_loss(run, batch, 0), loss));
}

TEST_F(LoraTraining, WithoutANullConditionDroppedCaptionsAreTheEmptyText) {
  LoraTrainConfig settings = config("empty text");
  settings.caption_dropout = 1;
  Models models = open(settings);
  LoraRun run = make_lora_run(models, settings, {});
  LoraBatch batch = lora_batch(run, 0);
  const Tensor zeros = lora_loss(run, batch, 0);
  run.encoders.state = ContextState::kNormalizedLast;  // as SD 1.5 has it
  const Tensor dropped = lora_loss(run, batch, 0);
  EXPECT_FALSE(torch::equal(dropped, zeros));
  run.config.caption_dropout = 0;
  batch.captions.assign(batch.captions.size(), "");
  EXPECT_TRUE(torch::equal(lora_loss(run, batch, 0), dropped));
}

struct Learned {
  std::vector<LossRow> rows;
  NamedTensors factors;
  int64_t peak_bytes = 0;
};

Learned three_steps(Models models, const LoraTrainConfig& settings) {
  LoraRun run = make_lora_run(models, settings, {});
  Learned learned;
  const testing::MemoryMeter meter;
  for (int64_t i = 0; i < 3; ++i) learned.rows.push_back(lora_step(run, i));
  learned.peak_bytes = meter.peak_bytes();
  learned.factors = clone_tensors(run.factors);
  return learned;
}

void expect_same_bits(const Learned& a, const Learned& b) {
  EXPECT_EQ(a.rows, b.rows);
  ASSERT_EQ(a.factors.size(), b.factors.size());
  for (const auto& [name, factor] : a.factors) {
    EXPECT_TRUE(torch::equal(factor, b.factors.at(name))) << name;
  }
}

// Not to the bit: what all blocks share, the time embedding and the caption, gets its gradient block by block, then in
// one sum, which without checkpointing runs over all layers.
void expect_close(const Learned& a, const Learned& b) {
  ASSERT_EQ(a.rows.size(), b.rows.size());
  for (size_t i = 0; i < a.rows.size(); ++i) {
    for (size_t j = 0; j < a.rows[i].size(); ++j) {
      const auto& [name, value] = a.rows[i][j];
      EXPECT_NEAR(*value, *b.rows[i][j].second, 1e-5 * std::abs(*value)) << name << i;
    }
  }
  for (const auto& [name, factor] : a.factors) {
    const Tensor difference = factor - b.factors.at(name);
    EXPECT_LT((difference.norm() / factor.norm()).item<double>(), 1e-3) << name;
  }
}

TEST_F(LoraTraining, GradientCheckpointingChangesRoundingAloneAndPeaksLower) {
  LoraTrainConfig settings = config("checkpointed");
  settings.resolution = 128;
  settings.targets = "full";
  const Learned plain = three_steps(open(settings), settings);
  settings.gradient_checkpointing = true;
  const Learned recomputed = three_steps(open(settings), settings);
  expect_close(recomputed, plain);
  EXPECT_LT(recomputed.peak_bytes, plain.peak_bytes * 8 / 10);
}

TEST_F(LoraTraining, AGradientNormOfZeroLimitsNothing) {
  LoraTrainConfig settings = config("unlimited");
  settings.max_grad_norm = 0;
  const Learned unlimited = three_steps(open(settings), settings);
  settings.max_grad_norm = 1e6;
  expect_same_bits(unlimited, three_steps(open(settings), settings));
  EXPECT_GT(*unlimited.rows[0][1].second, 0);
}

TEST_F(LoraTraining, StopsAtALossThatIsNoNumberAndNamesTheLastGoodState) {
  LoraTrainConfig settings = config("spoiled");
  settings.model = path("spoiled.safetensors");
  testing::write_tiny_sdxl(settings.model);
  Events stops;
  int64_t done = 0;
  stops.on_progress = [&](const Progress& progress) {
    if (progress.stage == Stage::kTrain) done = progress.step;
  };
  stops.is_cancelled = [&] { return done == 2; };
  EXPECT_THROW(train(settings, false, stops), Cancelled);
  testing::write_tiny_sdxl(settings.model, [](Checkpoint& model) {
    Tensor& weight = model.components.at(Component::kUnet).at("conv_out.weight");
    weight = at::full_like(weight, NAN);
  });
  const std::string state = settings.out + "/lora.state.safetensors";
  EXPECT_EQ(testing::message_of<Error>([&] { train(settings, true); }),
            fmt::format("lora: loss became nan in iteration 3; the last good state is that after "
                        "iteration 3 in \"{}\"; try a lower learning rate",
                        state));
  EXPECT_EQ(load_training_state(state).iteration, 3) << "asked after two, seen after three";
}

TEST_F(LoraTraining, ANoiseOffsetChangesTheNoiseAlone) {
  const LoraTrainConfig settings = config("offset");
  Models models = open(settings);
  LoraRun run = make_lora_run(models, settings, {});
  const LoraBatch batch = lora_batch(run, 0);
  const double plain = lora_loss(run, batch, 0).item<double>();
  run.config.noise_offset = 0.1;
  const double offset = lora_loss(run, batch, 0).item<double>();
  EXPECT_NE(plain, offset);
  EXPECT_NEAR(plain, offset, 0.3 * plain);
}

TEST_F(LoraTraining, TrainsOnHalfPrecisionNetworks) {
  LoraTrainConfig settings = config("half");
  for (const auto dtype : {torch::kBFloat16, torch::kFloat16}) {
    Models full = open(settings), half = open(settings, dtype);
    LoraRun reference = make_lora_run(full, settings, {}), run = make_lora_run(half, settings, {});
    const double expected = *lora_step(reference, 0)[1].second;
    const LossRow row = lora_step(run, 0);
    EXPECT_NEAR(*row[1].second, expected, 0.1 * expected) << "gradient norm, " << dtype;
    for (const auto& [name, factor] : run.factors) EXPECT_EQ(factor.scalar_type(), torch::kFloat32);
  }
}

TEST_F(LoraTraining, ShowsSamplesWithAndWithoutTheLora) {
  LoraTrainConfig settings = config("sheets");
  settings.iterations = 2;
  settings.sample_every = 2;
  settings.sample_steps = 2;
  train(settings);
  const Image sheet = read_image(settings.out + "/sheet-000002.png");
  EXPECT_GT(sheet.pixels.size(0), 2 * 64);
  EXPECT_GT(sheet.pixels.size(1), 2 * 64);
}

TEST(LoraTargets, ArePresetsOfOneAnother) {
  const auto attention = lora_targets("attention"), transformer = lora_targets("transformer"),
             full = lora_targets("full");
  EXPECT_THAT(transformer, ::testing::IsSupersetOf(attention));
  EXPECT_THAT(full, ::testing::IsSupersetOf(transformer));
  EXPECT_THROW(lora_targets("everything"), InvalidRequest);
}

TEST(LoraTrainConfig, NamesWhatIsMissingOrUnknown) {
  LoraTrainConfig config;
  const auto message = [&] {
    return testing::message_of<InvalidRequest>([&] { validate(config); });
  };
  EXPECT_THAT(message(), HasSubstr("--model"));
  config.model = "x";
  EXPECT_THAT(message(), HasSubstr("--data"));
  config.data = "y";
  EXPECT_EQ(message(), "");
  config.targets = "some";
  EXPECT_THAT(message(), HasSubstr("--targets: \"some\""));
  config.targets = "full";
  config.prediction = "v";
  EXPECT_THAT(message(), HasSubstr("--prediction: \"v\""));
}

}  // namespace
}  // namespace fourstep
