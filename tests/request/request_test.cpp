#include "request/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "request/request.h"
#include "support/files.h"

namespace fourstep {
namespace {

const FieldInfo kLora{"lora", ""};

std::vector<LoraUse> parse(std::string_view text) {
  std::vector<LoraUse> uses;
  value_from_text(kLora, text, uses);
  return uses;
}

Request filled() {
  Request request;
  request.files.model = "m.safetensors";
  request.files.loras = {{"a.safetensors", 0.7, 0.7}, {"b:c.safetensors", -0.85, 0.5}};
  request.files.loras.push_back({"d", step_weights_from_text("", "0@0,1@0.5"), 0});
  request.files.loras.push_back({"e", step_weights_from_text("", "0.1@1,0.3@2"), 0.8});
  request.prompt.text = "a \"fox\",\nin snow ✓";
  request.picture.width = 832;
  request.picture.seed = 18446744073709551615u;
  request.sampling.steps = 4;
  request.sampling.timesteps = {999, 749.25};
  request.sampling.cfg_scale = 1.5;
  request.networks.zero_snr = true;
  request.files.lora_partial = true;
  request.files.lora_dir = {"a folder", "/b,c"};
  request.prompt.emphasis = Emphasis::kComfy;
  return request;
}

TEST(Request, LoraTextsCarryOneWeightOrTwo) {
  EXPECT_EQ(parse("a.safetensors"), (std::vector<LoraUse>{{"a.safetensors", 1, 1}}));
  EXPECT_EQ(parse("a.safetensors:-0.85"), (std::vector<LoraUse>{{"a.safetensors", -0.85, -0.85}}));
  EXPECT_EQ(parse("a:0.7:0.5; b:1.3"), (std::vector<LoraUse>{{"a", 0.7, 0.5}, {"b", 1.3, 1.3}}));
}

TEST(Request, LoraWeightsMayChangeOverTheSteps) {
  const StepWeights falling = step_weights_from_text("", "1@1,0.5@2");
  EXPECT_EQ(parse("a:1@1,0.5@2; b"), (std::vector<LoraUse>{{"a", falling, 1}, {"b", 1, 1}}));
  EXPECT_EQ(parse("a:1@1,0.5@2:0.3"), (std::vector<LoraUse>{{"a", falling, 0.3}}));
  EXPECT_EQ(parse("me@home:a:0.5"), (std::vector<LoraUse>{{"me@home:a", 0.5, 0.5}}));
  EXPECT_THROW(parse("a:1@x"), InvalidRequest);
  EXPECT_EQ(testing::message_of<InvalidRequest>([] { parse("a:1:0@0,1@2"); }),
            "--lora: a: the text weight \"0@0,1@2\" changes over the steps, but text encoders run "
            "once, before them; give one number");
}

TEST(Request, WorkWithoutStepsTakesOneWeight) {
  EXPECT_EQ(single_weight({"a", 0.7, 0.7}), 0.7);
  EXPECT_EQ(testing::message_of<InvalidRequest>([] { single_weight(parse("a:0@0,1@2")[0]); }),
            "a: the weight 0@0,1@2 changes over sampling steps, and there are none here; give one "
            "number");
}

TEST(Request, ColonsInLoraFileNamesStay) {
  EXPECT_EQ(parse("disk:a.safetensors:0.5"),
            (std::vector<LoraUse>{{"disk:a.safetensors", 0.5, 0.5}}));
}

TEST(Request, LoraWeightsMustBeFiniteAndFilesNamed) {
  for (const char* text : {"a:nan", "a:1e999", "a:0.5:-inf"}) {
    EXPECT_THAT(testing::message_of<InvalidRequest>([&] { parse(text); }),
                ::testing::HasSubstr("--lora a"));
  }
  EXPECT_THROW(parse(":0.5"), InvalidRequest);
}

TEST(Request, LoraTextReadsBackAsWritten) {
  const std::vector<LoraUse> uses = filled().files.loras;
  EXPECT_EQ(parse(text_from_value(uses)), uses);
}

TEST(Request, FieldNamesAreUnique) {
  Request request;
  std::set<std::string> names;
  visit_fields(request, [&](const FieldInfo& field, auto&) {
    EXPECT_TRUE(names.insert(field_path(field)).second) << field_path(field);
    EXPECT_FALSE(field.help.empty()) << field.name;
  });
  EXPECT_GE(names.size(), 25u);
}

TEST(Request, JsonReadsBackAsWritten) {
  EXPECT_EQ(request_from_json(json_from_request(filled())), filled());
  EXPECT_EQ(request_from_json(json_from_request(Request())), Request());
}

TEST(Request, JsonWithUnknownFieldsOrWrongTypesIsRefused) {
  for (const char* text :
       {R"({"stepps": 4})", R"({"steps": [4]})", R"({"steps": 4.5})", R"([])",
        R"({"lora": [{"weight": 1}]})", R"({"lora": [{"file": "a", "unet_weight": "1@"}]})",
        R"({"lora": [{"file": "a", "text_weight": 1e300}]})", R"({"cfg_scale": 1e300})",
        R"({"dialect": "comfyy"})", R"({"noise": "gpu"})"}) {
    EXPECT_THROW(request_from_json(nlohmann::ordered_json::parse(text)), InvalidRequest) << text;
  }
}

TEST(Request, WordsAreReadOnceAndTheRefusalNamesThem) {
  Request request;
  const auto refusal = [&](const char* name, const char* text) {
    return testing::message_of<InvalidRequest>([&] {
      visit_fields(request, [&](const FieldInfo& field, auto& value) {
        if (field.name == name) value_from_text(field, text, value);
      });
    });
  };
  EXPECT_EQ(refusal("noise", "gpu"), "--noise: \"gpu\" is none of auto, torch, nv");
  EXPECT_EQ(refusal("emphasis", "strong"),
            "--emphasis: \"strong\" is none of auto, original, no_norm, comfyui, ignore");
  EXPECT_EQ(refusal("dialect", "comfyy"),
            "dialect \"comfyy\" is not known; did you mean comfy, comfyui or forge?");
  EXPECT_EQ(refusal("emphasis", "no_norm"), "");
  EXPECT_EQ(request.prompt.emphasis, Emphasis::kNoNorm);
  EXPECT_EQ(json_from_request(request)["emphasis"], "no_norm");
}

TEST(Request, ValidateNamesWhatCannotWork) {
  Request request;
  request.files.model = "m";
  EXPECT_NO_THROW(validate(request));
  request.sampling.timesteps = {499, 999};
  EXPECT_THROW(validate(request), InvalidRequest) << "rising";
  request.sampling.timesteps = {999, 499};
  request.sampling.sigmas = {14, 0};
  EXPECT_THROW(validate(request), InvalidRequest) << "two lists";
  request.sampling.timesteps.clear();
  request.sampling.sigmas = {0};
  EXPECT_THROW(validate(request), InvalidRequest) << "no noise to start from";
  request.sampling.sigmas.clear();
  request.prompt.text = std::string(65537, 'x');
  EXPECT_THROW(validate(request), InvalidRequest) << "64 KiB and one";
}

}  // namespace
}  // namespace fourstep
