#include "engine/model_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/golden.h"
#include "support/tiny_model.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

TEST(ModelFacts, AreThoseOfTheFile) {
  const testing::TemporaryFolder folder;
  testing::write_tiny_sdxl(folder.path() / "tiny.safetensors");
  Request request;
  request.files.model = (folder.path() / "tiny.safetensors").string();
  const ModelFacts facts = model_facts(request);
  EXPECT_EQ(facts.traits.file_name, "tiny.safetensors");
  EXPECT_TRUE(facts.has_two_encoders);
  EXPECT_EQ(facts.text_widths,
            (std::vector<int64_t>{testing::kTinyTextWidth, testing::kTinyTextWidth2}));
  EXPECT_THAT(facts.vocabulary.source, HasSubstr("tiny.safetensors"));
}

/// A tiny model whose file says that DMD2 was merged into it, or nothing.
std::string model_file(const testing::TemporaryFolder& folder, const char* name, bool is_merged) {
  const std::string file = (folder.path() / name).string();
  testing::write_tiny_sdxl(file, [&](Checkpoint& checkpoint) {
    if (is_merged) checkpoint.metadata = {{"modelspec.title", "mix with DMD2"}};
  });
  return file;
}

TEST(ModelFacts, WhatIsMergedIsReadFromTheFileOfTheUNet) {
  const testing::TemporaryFolder folder;
  const std::string plain = model_file(folder, "plain.safetensors", false);
  const std::string merged = model_file(folder, "mix.safetensors", true);
  const auto kind = [](const std::string& model, const std::string& unet) {
    Request request;
    request.files.model = model;
    request.files.unet = unet;
    return kind_of(model_facts(request).traits);
  };
  EXPECT_EQ(kind(plain, ""), ModelKind::kPlain);
  EXPECT_EQ(kind(merged, ""), ModelKind::kDistilled);
  EXPECT_EQ(kind(plain, merged), ModelKind::kDistilled);
  EXPECT_EQ(kind(merged, plain), ModelKind::kPlain) << "its own UNet is not used";
}

TEST(ModelFacts, ARequestIsLintedWithoutReadingWeights) {
  Request request;
  request.sampling.sampler = "euler";
  request.sampling.steps = 30;
  std::vector<std::string> codes;
  for (const LintFinding& finding : lint_request(request)) codes.push_back(finding.code);
  EXPECT_THAT(codes, ::testing::ElementsAre("sampler-without-noise", "too-many-steps"));
}

}  // namespace
}  // namespace fourstep
