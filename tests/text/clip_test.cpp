#include "text/clip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/random_weights.h"
#include "text/text_cases.h"

namespace fourstep {
namespace {

using nlohmann::json;
using testing::relative_error;
using testing::unpack;

constexpr double kTolerance = 1e-5;

ClipText random_clip(const ClipConfig& config) {
  ClipText model(config);
  NamedShapes shapes;
  for (const auto& item : model->named_parameters()) shapes[item.key()] = shape_of(item.value());
  load_weights(*model, testing::random_weights(shapes), {torch::kFloat32, torch::kCPU}, "random");
  return model;
}

ClipConfig toy_config() {
  ClipConfig config;
  config.vocab_size = 600, config.width = 64, config.heads = 1, config.layers = 2;
  config.mlp_width = 128, config.projection = 32, config.eos_id = 599;
  return config;
}

NamedShapes toy_shapes() {
  return {{"text_model.embeddings.token_embedding.weight", {600, 128}},
          {"text_model.embeddings.position_embedding.weight", {77, 128}},
          {"text_model.encoder.layers.0.mlp.fc1.weight", {512, 128}},
          {"text_model.encoder.layers.1.mlp.fc1.weight", {512, 128}}};
}

Tensor ids_of(const json& rows) {
  std::vector<Tensor> tensors;
  for (const json& row : rows) tensors.push_back(torch::tensor(row.get<std::vector<int64_t>>()));
  return at::stack(tensors);
}

ClipText model_of(const json& test_case) {
  const auto shapes = test_case.at("shapes").get<NamedShapes>();
  ClipConfig config = clip_config_from_shapes(shapes, test_case.at("heads_hint"), "golden");
  if (test_case.value("activation", "") == "quick_gelu")
    config.activation = ClipActivation::kQuickGelu;
  ClipText model(config);
  load_weights(*model, testing::random_weights(shapes), {torch::kFloat32, torch::kCPU}, "golden");
  return model;
}

void check_case(const json& test_case) {
  SCOPED_TRACE(test_case.at("name").get<std::string>());
  ClipText model = model_of(test_case);
  const Tensor ids = ids_of(test_case.at("ids"));
  const Tensor rows = torch::tensor(test_case.at("rows").get<std::vector<int64_t>>());
  for (const auto& [skip, expected] : test_case.at("hidden").items()) {
    const Tensor hidden = model->forward(ids, std::stoll(skip)).hidden.index_select(1, rows);
    EXPECT_LE(relative_error(hidden, unpack(expected)), kTolerance) << "clip skip " << skip;
  }
  const ClipOutput out = model->forward(ids);
  EXPECT_LE(relative_error(out.last.index_select(1, rows), unpack(test_case.at("last"))),
            kTolerance);
  ASSERT_EQ(out.pooled.defined(), test_case.contains("pooled"));
  if (out.pooled.defined()) {
    EXPECT_LE(relative_error(out.pooled, unpack(test_case.at("pooled"))), kTolerance);
  }
}

TEST(GoldenClip, StatesAndPooledEqualTransformers) {
  const auto golden = testing::load_golden("clip_text.json");
  if (!golden) GTEST_SKIP() << "clip_text.json is not there";
  for (const json& test_case : golden->at("cases")) check_case(test_case);
  testing::report_golden("clip_text.json", golden->at("cases").size(), 0);
}

TEST(GoldenClip, RandomWeightsAreThoseOfPython) {
  const auto golden = testing::load_golden("clip_text.json");
  if (!golden) GTEST_SKIP() << "clip_text.json is not there";
  const json& sample = golden->at("meta").at("sample");
  const Tensor expected = unpack(sample.at("values"));
  const auto got = testing::random_weights({{sample.at("name"), shape_of(expected)}});
  EXPECT_LE(relative_error(got.begin()->second, expected), 1e-6);
}

TEST(RandomWeights, Crc32HasItsCheckValue) { EXPECT_EQ(testing::crc32("123456789"), 0xCBF43926u); }

TEST(Clip, ConfigComesFromTheShapes) {
  NamedShapes shapes = toy_shapes();
  const ClipConfig first = clip_config_from_shapes(shapes, 0, "x");
  EXPECT_EQ(first.layers, 2);
  EXPECT_EQ(first.heads, 2);
  EXPECT_EQ(first.eos_id, 599);
  EXPECT_EQ(first.projection, 0);
  EXPECT_EQ(first.activation, ClipActivation::kQuickGelu);
  shapes["text_projection.weight"] = {96, 128};
  const ClipConfig second = clip_config_from_shapes(shapes, 4, "x");
  EXPECT_EQ(second.heads, 4);
  EXPECT_EQ(second.projection, 96);
  EXPECT_EQ(second.activation, ClipActivation::kGelu);
}

TEST(Clip, ShapesThatAreNoTextEncoderAreNamed) {
  const auto message = [](const NamedShapes& shapes, int64_t heads) -> std::string {
    try {
      clip_config_from_shapes(shapes, heads, "x.safetensors");
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message({}, 0),
              ::testing::HasSubstr(
                  "x.safetensors: text_model.embeddings.token_embedding.weight is missing"));
  NamedShapes flat = toy_shapes();
  flat["text_model.embeddings.position_embedding.weight"] = {77};
  EXPECT_THAT(message(flat, 0), ::testing::HasSubstr("shape [77], expected 2 dimensions"));
  EXPECT_THAT(message(toy_shapes(), 3),
              ::testing::HasSubstr("a width of 128 does not divide into 3 heads"));
  NamedShapes narrow = toy_shapes();
  narrow["text_model.embeddings.token_embedding.weight"] = {600, 48};
  EXPECT_THAT(message(narrow, 0), ::testing::HasSubstr("heads of width 64"));
}

TEST(Clip, LaterTokensDoNotReachEarlierStates) {
  ClipText model = random_clip(toy_config());
  Tensor ids = torch::full({1, 77}, 599, torch::kInt64);
  const ClipOutput before = model->forward(ids);
  ids[0][50] = 3;
  const ClipOutput after = model->forward(ids);
  EXPECT_TRUE(
      torch::allclose(before.last.narrow(1, 0, 50), after.last.narrow(1, 0, 50), 1e-5, 1e-6));
  EXPECT_FALSE(torch::allclose(before.last.narrow(1, 50, 27), after.last.narrow(1, 50, 27), 1e-3));
}

TEST(Clip, PooledIgnoresWhatFollowsTheFirstEnd) {
  ClipText model = random_clip(toy_config());
  Tensor ids = torch::full({2, 77}, 599, torch::kInt64);
  ids.narrow(1, 0, 4) = 7;
  ids[1].narrow(0, 5, 72).zero_();
  const Tensor pooled = model->forward(ids).pooled;
  EXPECT_TRUE(torch::allclose(pooled[0], pooled[1], 1e-5, 1e-6));
}

TEST(Clip, RefusesASkipBeyondTheLayers) {
  ClipText model = random_clip(toy_config());
  const Tensor ids = torch::full({1, 77}, 599, torch::kInt64);
  EXPECT_NO_THROW(model->forward(ids, 1));
  EXPECT_THROW(model->forward(ids, 2), InvalidRequest);
  EXPECT_THROW(model->forward(ids, -1), InvalidRequest);
}

TEST(Clip, RefusesMoreIdsThanPositions) {
  ClipText model = random_clip(toy_config());
  EXPECT_THROW(model->forward(torch::zeros({1, 78}, torch::kInt64)), Error);
  EXPECT_THROW(model->forward(torch::zeros({77}, torch::kInt64)), Error);
}

}  // namespace
}  // namespace fourstep
