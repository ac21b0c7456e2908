#include "workbench/lora_blocks.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "loras.h"

namespace fourstep {
namespace {

std::string block(const std::string& parameter) { return block_of(id_of(parameter), sdxl()); }

TEST(LoraBlocks, NamesAreThoseOfTheLdmBlocks) {
  EXPECT_EQ(block(kConvolution), "IN01");
  EXPECT_EQ(block(kQuery), "IN04");
  EXPECT_EQ(block(kOut), "OUT05");
  EXPECT_EQ(block("unet.down_blocks.0.downsamplers.0.conv.weight"), "IN03");
  EXPECT_EQ(block("unet.mid_block.resnets.1.conv2.weight"), "MID");
  EXPECT_EQ(block("unet.up_blocks.0.upsamplers.0.conv.weight"), "OUT02");
  EXPECT_EQ(block("unet.time_embedding.linear_1.weight"), "OTHER");
  EXPECT_EQ(block("unet.conv_out.weight"), "OTHER");
  EXPECT_EQ(block(kText), "BASE");
  EXPECT_EQ(shown_block(id_of(kText), sdxl()), "TE1");
  EXPECT_EQ(shown_block(id_of(kText2), sdxl()), "TE2");
}

TEST(LoraBlocks, TheyAreOrderedAsTheyRun) {
  std::map<std::string, int, BlockOrder> blocks;
  for (const char* name : {"OTHER", "OUT01", "MID", "IN08", "IN01", "TE2", "TE1"}) blocks[name];
  std::string order;
  for (const auto& [name, value] : blocks) order += name + " ";
  EXPECT_EQ(order, "TE1 TE2 IN01 IN08 MID OUT01 OTHER ");
}

double weight(const std::string& text, const std::string& parameter) {
  return weight_of(parse_block_weights(text), id_of(parameter), sdxl());
}

TEST(LoraBlocks, TwelveNumbersAreSdxlsBlocksWithTransformers) {
  const std::string list = "0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1,1.1,1.2";
  EXPECT_EQ(weight(list, kText), 0.1);
  EXPECT_EQ(weight(list, kQuery), 0.2);
  EXPECT_EQ(weight(list, "unet.down_blocks.2.attentions.1.proj_in.weight"), 0.5);
  EXPECT_EQ(weight(list, "unet.mid_block.attentions.0.proj_in.weight"), 0.6);
  EXPECT_EQ(weight(list, kOut), 1.2);
  EXPECT_EQ(weight(list, kConvolution), 0) << "IN01 is not in the list: 0, as in the extension";
  EXPECT_EQ(weight(list, "unet.time_embedding.linear_1.weight"), 1) << "in no block";
}

TEST(LoraBlocks, TwentyNumbersAreAllBlocks) {
  std::string list = "0";
  for (int i = 1; i < 20; ++i) list += "," + std::to_string(i);
  EXPECT_EQ(weight(list, kConvolution), 2);
  EXPECT_EQ(weight(list, kQuery), 5);
  EXPECT_EQ(weight(list, "unet.mid_block.resnets.0.conv1.weight"), 10);
  EXPECT_EQ(weight(list, "unet.up_blocks.2.resnets.2.conv1.weight"), 19);
}

/// "MIDD" of the extension: 1,0,0,0,1,1,1,1,1,1,1,1,0,0,0,0,0 for BASE, IN01, IN02, IN04, IN05, IN07, IN08, MID, OUT03-11,
/// and 0 for what these 17 leave out.
TEST(LoraBlocks, PresetsAreThoseOfTheExtension) {
  EXPECT_EQ(weight("MIDD", kText), 1);
  EXPECT_EQ(weight("MIDD", kQuery), 0) << "IN04";
  EXPECT_EQ(weight("MIDD", "unet.down_blocks.2.attentions.1.proj_in.weight"), 1) << "IN08";
  EXPECT_EQ(weight("MIDD", "unet.mid_block.attentions.0.proj_in.weight"), 1);
  EXPECT_EQ(weight("MIDD", "unet.up_blocks.0.attentions.0.proj_in.weight"), 0) << "OUT00";
  EXPECT_EQ(weight("MIDD", kOut), 1) << "OUT05";
  EXPECT_EQ(weight(" INS ", kQuery), 1);
  EXPECT_EQ(weight("OUTALL", kConvolution), 0) << "IN01";
  EXPECT_EQ(weight("NONE", kText), 0);
}

TEST(LoraBlocks, NamesAreBlocksOrBeginningsOfModules) {
  EXPECT_EQ(weight("IN04=0.5, MID=0", kQuery), 0.5);
  EXPECT_EQ(weight("down_blocks.1=3", kQuery), 3);
  EXPECT_EQ(weight("down_blocks.1=3,IN04=2", kQuery), 6);
  EXPECT_EQ(weight("down_blocks.1.attentions=3", kShortcut), 1);
  EXPECT_EQ(weight("", kQuery), 1);
}

TEST(LoraBlocks, AnythingElseIsRefused) {
  for (const char* text : {"1,2,3", "R,1,1,1,1,1,1,1,1,1,1,1", "IN04=", "IN04=x", "IN99=1",
                           "IN04=inf", "IN04=1e300", "nonsense=1", "IN04", "MIDDLE"}) {
    EXPECT_THROW(parse_block_weights(text), InvalidRequest) << text;
  }
}

}  // namespace
}  // namespace fourstep
