#include "io/quantisation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "base/error.h"
#include "base/scaled_weight.h"
#include "io/safetensors.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const char* const kNf4 = "nf4 of bitsandbytes";

TensorFile read(NamedTensors tensors, Metadata metadata = {}) {
  TensorFile file{"model.safetensors", std::move(tensors), std::move(metadata), nullptr};
  read_quantisation(file);
  return file;
}

Tensor codes(torch::ScalarType type = torch::kFloat8_e4m3fn) {
  return torch::tensor({1.0, -2.5, 448.0, 0.5, 0.25, -1.0}).view({3, 2}).to(type);
}

Tensor text_tensor(const std::string& text) {
  const Tensor bytes = torch::empty({static_cast<int64_t>(text.size())}, torch::kUInt8);
  std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
  return bytes;
}

std::string unreadable_with(const std::string& beside, const Tensor& tensor,
                            const Tensor& weight = codes()) {
  return read({{"a.weight", weight}, {beside, tensor}}).unreadable;
}

TEST(Quantisation, AllSpellingsAndShapesOfAScaleGiveWeightTimesScale) {
  const Tensor number = torch::tensor(0.3F), rows = torch::tensor({0.5F, 3.F, 0.07F});
  for (const std::string key : {"u.a.scale_weight", "u.a.weight_scale", "u.a.weight_scale_inv"}) {
    for (const auto type : {torch::kFloat8_e4m3fn, torch::kFloat8_e5m2}) {
      for (const auto scale_type : {torch::kFloat, torch::kHalf, torch::kBFloat16}) {
        for (const Tensor& scale :
             {number, number.view({1}), number.view({1, 1}), rows, rows.view({3, 1})}) {
          const Tensor stored = scale.to(scale_type);
          const TensorFile file = read({{"u.a.weight", codes(type)}, {key, stored}});
          EXPECT_THAT(file.unreadable, IsEmpty());
          ASSERT_EQ(file.tensors.size(), 1U);
          const Tensor factors = stored.to(torch::kFloat);
          EXPECT_TRUE(torch::equal(
              aligned(file.tensors.at("u.a.weight")),
              codes(type).to(torch::kFloat) *
                  (factors.numel() == 1 ? factors.reshape({}) : factors.reshape({3, 1}))));
        }
      }
    }
  }
}

TEST(Quantisation, ConvolutionsHaveScalesOfFourDimensions) {
  const Tensor weight = codes().view({3, 2, 1, 1});
  const Tensor scale = torch::tensor({1.F, 2.F, 4.F}).view({3, 1, 1, 1});
  const TensorFile file = read({{"a.weight", weight}, {"a.weight_scale", scale}});
  EXPECT_TRUE(torch::equal(aligned(file.tensors.at("a.weight")), weight.to(torch::kFloat) * scale));
}

TEST(Quantisation, ParametersOfOtherNamesAreFoundByTheirScale) {
  const TensorFile file =
      read({{"attn.in_proj_weight", codes()}, {"attn.in_proj_weight_scale", torch::tensor(2.F)}});
  EXPECT_TRUE(
      torch::equal(aligned(file.tensors.at("attn.in_proj_weight")), codes().to(torch::kFloat) * 2));
}

TEST(Quantisation, WeightsInFullPrecisionAreMultipliedToo) {
  const TensorFile file = read(
      {{"a.weight", torch::full({2, 2}, 3, torch::kHalf)}, {"a.scale_weight", torch::tensor(2.F)}});
  EXPECT_TRUE(torch::equal(aligned(file.tensors.at("a.weight")), torch::full({2, 2}, 6.F)));
}

TEST(Quantisation, MarksLeaveTensorsAndMetadata) {
  const TensorFile file = read({{"a.weight", codes()},
                                {"a.weight_scale", torch::tensor(1.F)},
                                {"a.input_scale", torch::tensor(1.F)},
                                {"a.scale_input", torch::tensor(1.F)},
                                {"a.comfy_quant", text_tensor(R"({"format": "float8_e4m3fn"})")},
                                {"a.bias", torch::zeros({3})},
                                {"scaled_fp8", torch::zeros({0})},
                                {"logit_scale", torch::zeros({})}},
                               {{"_quantization_metadata", R"({"layers": {"a": {"format":
                                 "float8_e4m3fn", "full_precision_matrix_mult": true}}})"},
                                {"title", "x"}});
  EXPECT_THAT(file.unreadable, IsEmpty());
  EXPECT_EQ(file.tensors.size(), 3U);
  EXPECT_EQ(file.tensors.count("logit_scale"), 1U);
  EXPECT_EQ(file.metadata, (Metadata{{"title", "x"}}));
  EXPECT_THAT(file.marks, UnorderedElementsAre("a.weight_scale", "a.input_scale", "a.scale_input",
                                               "a.comfy_quant", "scaled_fp8"));
}

TEST(Quantisation, PlainCastsStayAsTheyAre) {
  const TensorFile file = read({{"a.weight", codes(torch::kFloat8_e5m2)}});
  EXPECT_EQ(file.tensors.at("a.weight").scalar_type(), torch::kFloat8_e5m2);
}

TEST(Quantisation, ScalesPerBlockOrInputAreRefusedWithTheirShape) {
  for (const Shape& shape : {Shape{2, 1}, Shape{3, 2}, Shape{1, 2}, Shape{1, 3}, Shape{2}}) {
    EXPECT_THAT(unreadable_with("a.weight_scale", torch::ones(shape)),
                AllOf(HasSubstr("model.safetensors"), HasSubstr("a.weight_scale"),
                      HasSubstr("per block"), HasSubstr("shape " + to_string(shape))));
  }
}

TEST(Quantisation, ScalesThatAreNoFactorsAreRefused) {
  EXPECT_THAT(unreadable_with("a.weight_scale", torch::tensor(std::nanf(""))), HasSubstr("NaN"));
  EXPECT_THAT(unreadable_with("a.weight_scale", torch::ones({1}, torch::kUInt8)),
              HasSubstr("scales of type uint8"));
  EXPECT_THAT(unreadable_with("a.weight_scale", torch::ones({3, 1}).to(torch::kFloat8_e8m0fnu)),
              HasSubstr("F8_E8M0"));
  EXPECT_THAT(read({{"a.weight", codes()},
                    {"a.weight_scale", torch::tensor(1.F)},
                    {"a.scale_weight", torch::tensor(1.F)}})
                  .unreadable,
              HasSubstr("second scale"));
}

TEST(Quantisation, OtherFormatsAreRefusedByName) {
  const auto header = [](const std::string& layers) {
    return read({{"a.weight", codes()}, {"a.weight_scale", torch::tensor(1.F)}},
                {{"_quantization_metadata", layers}})
        .unreadable;
  };
  for (const std::string format : {"nvfp4", "mxfp8", "int8_tensorwise", "int8_blockwise", "new"}) {
    const std::string layer = fmt::format(R"({{"format": "{}"}})", format);
    const auto names_it = AllOf(HasSubstr("model.safetensors"),
                                HasSubstr("(format \"" + format + "\")"), HasSubstr("key \"a\""));
    EXPECT_THAT(unreadable_with("a.comfy_quant", text_tensor(layer)), names_it);
    EXPECT_THAT(header(fmt::format(R"({{"layers": {{"a": {}}}}})", layer)), names_it);
    EXPECT_THAT(header(fmt::format(R"({{"layers": {{"a": "{}"}}}})", format)), names_it);
  }
  EXPECT_THAT(header(R"({"layers": {"a": {"format": "float8_e4m3fn", "convrot": true}}})"),
              HasSubstr("float8_e4m3fn with \"convrot\""));
  EXPECT_THAT(header(R"({"layers": {"a": {"format": "float8_e4m3fn", "convrot": false}}})"),
              IsEmpty());
  EXPECT_THAT(header("{"), HasSubstr("without \"layers\""));
  EXPECT_THAT(unreadable_with("a.comfy_quant", text_tensor("\xff{")), HasSubstr("no format named"));
}

TEST(Quantisation, ALayerCalledScaledWithoutAScaleIsRefused) {
  EXPECT_THAT(unreadable_with("a.comfy_quant", text_tensor(R"({"format": "float8_e4m3fn"})")),
              HasSubstr("scaled fp8 without a scale"));
}

TEST(Quantisation, IntegersAreRefusedWhereParametersAreMeant) {
  TensorFile file = read({{"a.weight", torch::ones({2, 2}, torch::kChar)},
                          {"position_ids", torch::arange(77).view({1, 77})},
                          {"counter", torch::ones({}, torch::kLong)}});
  std::vector<KeyRow> rows{{"a.weight", Component::kUnet, {"a.weight"}, KeyOp::kCopy},
                           {"position_ids", Component::kTextEncoder, {}, KeyOp::kDrop}};
  EXPECT_THAT(unreadable_rows(file, rows), AllOf(HasSubstr("quantised (int8 without a scale)"),
                                                 HasSubstr("\"a.weight\""), HasSubstr("[2,2]")));
  file.tensors["a.weight"] = torch::ones({2, 2});
  EXPECT_THAT(unreadable_rows(file, rows), IsEmpty());
  EXPECT_THAT(unreadable_file(read({{"up", torch::ones({2}, torch::kByte)}})),
              HasSubstr("uint8 without a scale"));
  EXPECT_THAT(unreadable_file(read({{"up", torch::ones({2}).to(torch::kFloat8_e4m3fnuz)}})),
              HasSubstr("(F8_E4M3FNUZ)"));
  EXPECT_THAT(unreadable_file(read({{"alpha", torch::ones({}, torch::kLong)}})), IsEmpty());
  EXPECT_THAT(unreadable_with("a.weight_scale", torch::ones({}), torch::ones({2, 2}, torch::kChar)),
              HasSubstr("int8 with a scale"));
}

TEST(Quantisation, SchemesAreNamedByTheTensorsBesideTheWeights) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a.weight.quant_state.bitsandbytes__nf4", kNf4},
      {"a.weight.quant_state.bitsandbytes__fp4", "fp4 of bitsandbytes"},
      {"a.weight.absmax", "bitsandbytes"},
      {"a.SCB", "int8 of bitsandbytes"},
      {"a.weight_format", "int8 of bitsandbytes"},
      {"a.qweight", "GPTQ or AWQ"},
      {"a.qzeros", "GPTQ or AWQ"},
      {"a.wscales", "nunchaku"},
      {"a.weight._data", "quanto"},
      {"a.weight_qdata", "torchao"},
      {"a.weight_packed", "compressed-tensors"},
      {"a.weight_scale_2", "nvfp4"},
      {"a.W_q", "HQQ"}};
  for (const auto& [mark, scheme] : cases) {
    EXPECT_THAT(unreadable_with(mark, torch::ones({4}, torch::kByte)),
                AllOf(HasSubstr(scheme), HasSubstr(mark)));
  }
}

TEST(Quantisation, TheTableOfFourBitsTellsWhich) {
  const Tensor packed = torch::zeros({8, 1}, torch::kByte);
  EXPECT_THAT(unreadable_with("a.weight.quant_map", torch::linspace(-1, 1, 16), packed),
              HasSubstr(kNf4));
  EXPECT_THAT(unreadable_with("a.weight.quant_map", torch::linspace(0, 1, 16), packed),
              HasSubstr("fp4 of bitsandbytes"));
  EXPECT_THAT(unreadable_with("a.weight.quant_map", torch::linspace(-1, 1, 256), packed),
              HasSubstr("8-bit blocks"));
}

TEST(Quantisation, TypesThatNoTensorCanHoldAreRefusedByName) {
  const testing::TemporaryFolder folder;
  std::string header = R"({"a.weight":{"dtype":"F4","shape":[2,2],"data_offsets":[0,2]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::string length{static_cast<char>(header.size()), 0, 0, 0, 0, 0, 0, 0};
  const auto path =
      testing::write_file(folder.path() / "f4.safetensors", length + header + std::string(2, '\0'));
  EXPECT_THAT(open_weights(path).unreadable, AllOf(HasSubstr("(F4)"), HasSubstr("a.weight")));
}

}  // namespace
}  // namespace fourstep
