#include "workbench/lora_content.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "loras.h"
#include "workbench/lora_convert.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

NamedTensors file_of(int seed, torch::ScalarType dtype = torch::kHalf) {
  torch::manual_seed(seed);
  return kohya_tensors(by_id({{kQuery, random_module(kQuery, 4, 2)},
                              {kConvolution, random_module(kConvolution, 4, 2)},
                              {kText, random_module(kText, 2, 2)}}),
                       sdxl(), dtype);
}

std::string hash_of(const NamedTensors& tensors, const Metadata& metadata = {}) {
  TensorFile file;
  file.tensors = tensors;
  file.metadata = metadata;
  return *content_hash(fit_lora(parse_lora(file), published_layouts()));
}

TEST(LoraContent, HeaderAndKeyStyleDoNotCount) {
  const std::string expected = hash_of(file_of(1));
  EXPECT_EQ(hash_of(file_of(1), {{"a", "b"}}), expected);
  LoraSource source;
  source.file.tensors = file_of(1);
  for (const LoraStyle style : {LoraStyle::kKohyaLdm, LoraStyle::kPeft, LoraStyle::kDiffusers}) {
    const ConvertedLora other = convert_lora(source, published_layouts(), {style, {}, false});
    EXPECT_EQ(hash_of(other.tensors, other.metadata), expected) << to_string(style);
  }
}

TEST(LoraContent, EveryValueCounts) {
  const std::string expected = hash_of(file_of(1));
  EXPECT_NE(hash_of(file_of(2)), expected);
  EXPECT_NE(hash_of(file_of(1, torch::kFloat)), expected) << "another precision is another content";
  const std::string module = "lora_unet_down_blocks_0_resnets_0_conv1";
  NamedTensors changed = file_of(1);
  changed[module + ".alpha"] = torch::tensor(2.5).to(torch::kHalf);
  EXPECT_NE(hash_of(changed), expected);
  changed = file_of(1);
  changed[module + ".lora_up.weight"] = changed[module + ".lora_up.weight"].clone();
  changed[module + ".lora_up.weight"][319][0].add_(1);
  EXPECT_NE(hash_of(changed), expected);
}

TEST(LoraContent, CopiesUnderOtherNamesAreOneGroup) {
  const testing::TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "more");
  write_safetensors(folder.path() / "dmd2.safetensors", file_of(1));
  write_safetensors(folder.path() / "Nekhbet (1).safetensors", file_of(1), {{"title", "mine"}});
  write_safetensors(folder.path() / "more" / "other.safetensors", file_of(2));
  testing::write_file(folder.path() / "broken.safetensors", "no");
  testing::write_file(folder.path() / "notes.txt", "no");
  size_t calls = 0;
  const Duplicates found =
      find_duplicates(folder.path(), [&](size_t done, size_t total) { calls += done <= total; });
  EXPECT_EQ(calls, 4u);
  ASSERT_EQ(found.groups.size(), 2u);
  EXPECT_EQ(found.groups[0].files.size(), 2u);
  EXPECT_EQ(found.groups[1].files.size(), 1u);
  ASSERT_EQ(found.skipped.size(), 1u);
  EXPECT_THAT(duplicates_text(found), HasSubstr("3 LoRA files, 2 distinct contents; 1 other"));
  EXPECT_EQ(nlohmann::json::parse(duplicates_json(found))["groups"].size(), 2u);
  EXPECT_THROW(find_duplicates(folder.path() / "none"), Error);
}

}  // namespace
}  // namespace fourstep
