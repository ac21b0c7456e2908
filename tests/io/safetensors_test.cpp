#include "io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/tensor_file.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using testing::bytes_of;
using testing::from_hex;
using ::testing::HasSubstr;
using testing::message_of;
using testing::to_hex;
using testing::write_file;

std::string container(const std::string& json, const std::string& data = "") {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(json.size() >> (8 * i) & 0xFF);
  return file + json + data;
}

class SafetensorsFiles : public ::testing::Test {
 protected:
  TensorFile open(const std::string& bytes) const {
    return open_safetensors(write_file(folder_.path() / "x.safetensors", bytes));
  }
  std::string refusal(const std::string& bytes) const {
    return message_of<Error>([&] { open(bytes); });
  }

  testing::TemporaryFolder folder_;
};

using GoldenSafetensors = SafetensorsFiles;

/// Every tensor that the case lists must be in the header, and, where libtorch has its type, in the
/// file.
void expect_tensors(const nlohmann::json& expected, const SafetensorsHeader& header,
                    const TensorFile& file) {
  EXPECT_EQ(header.entries.size(), expected.size());
  for (const auto& [name, tensor] : expected.items()) {
    ASSERT_EQ(header.entries.count(name), 1u) << name;
    const SafetensorsEntry& entry = header.entries.at(name);
    EXPECT_EQ(entry.dtype, tensor.at("dtype"));
    EXPECT_EQ(entry.shape, tensor.at("shape").get<Shape>());
    ASSERT_EQ(file.tensors.count(name), 1u) << name;
    const Tensor& got = file.tensors.at(name);
    EXPECT_EQ(find_file_dtype(got.scalar_type())->name, tensor.at("dtype"));
    EXPECT_EQ(shape_of(got), tensor.at("shape").get<Shape>());
    EXPECT_EQ(to_hex(bytes_of(got)), tensor.at("data_hex"));
  }
}

TEST_F(GoldenSafetensors, ReaderGivesTheListedVerdicts) {
  const auto golden = testing::load_golden("safetensors_cases.json");
  if (!golden) GTEST_SKIP() << "safetensors_cases.json";
  size_t checked = 0;
  for (const auto& item : golden->at("cases")) {
    SCOPED_TRACE(item.at("id").get<std::string>());
    const std::string bytes = testing::decode_base64(item.at("file_b64"));
    const auto path = write_file(folder_.path() / "case.safetensors", bytes);
    ++checked;
    if (item.at("ours") == "reject") {
      EXPECT_THROW(open_safetensors(path), Error);
      EXPECT_THROW(read_safetensors_header(path), Error);
      continue;
    }
    TensorFile file;
    ASSERT_NO_THROW(file = open_safetensors(path));
    if (item.contains("tensors")) {
      expect_tensors(item.at("tensors"), read_safetensors_header(path), file);
    }
    const auto metadata = item.value("metadata", std::map<std::string, std::string>());
    EXPECT_EQ(file.metadata, metadata);
  }
  testing::report_golden("safetensors_cases.json", checked, 0);
}

Tensor make_tensor(const nlohmann::json& item) {
  const std::string bytes = from_hex(item.at("data_hex").get<std::string>());
  const auto dtype = find_file_dtype(item.at("dtype").get<std::string>())->scalar_type;
  const Tensor tensor = torch::empty(item.at("shape").get<Shape>(), *dtype);
  std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

TEST_F(GoldenSafetensors, WriterIsByteExact) {
  const auto golden = testing::load_golden("safetensors_writer.json");
  if (!golden) GTEST_SKIP() << "safetensors_writer.json";
  size_t checked = 0;
  for (const auto& item : golden->at("cases")) {
    SCOPED_TRACE(item.at("id").get<std::string>());
    NamedTensors tensors;
    for (const auto& tensor : item.at("tensors")) tensors[tensor.at("name")] = make_tensor(tensor);
    Metadata metadata;
    if (item.contains("metadata") && item.at("metadata").is_object())
      metadata = item.at("metadata").get<std::map<std::string, std::string>>();
    const auto path = folder_.path() / "written.safetensors";
    write_safetensors(path, tensors, metadata);
    EXPECT_EQ(to_hex(testing::read_file(path)),
              to_hex(testing::decode_base64(item.at("file_b64"))));
    ++checked;
  }
  testing::report_golden("safetensors_writer.json", checked, 0);
}

const char* const kTwoFloats = R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";

TEST_F(SafetensorsFiles, AlignedTensorsAreViewsOfTheMapping) {
  std::string json = kTwoFloats;
  json.resize((json.size() + 7) / 8 * 8, ' ');
  const TensorFile file = open(container(json, std::string(8, '\0')));
  const auto* data = static_cast<const std::byte*>(file.tensors.at("w").const_data_ptr());
  const auto bytes = file.mapping->bytes();
  EXPECT_GE(data, bytes.data());
  EXPECT_LE(data + 8, bytes.data() + bytes.size());
}

TEST_F(SafetensorsFiles, MisalignedTensorsAreViewsTooAndHoldTheBytes) {
  std::string json = kTwoFloats;
  json.resize((json.size() + 7) / 8 * 8 + 1, ' ');
  const std::string data = from_hex("0000803f00000040");
  const TensorFile file = open(container(json, data));
  const Tensor& w = file.tensors.at("w");
  EXPECT_NE(reinterpret_cast<uintptr_t>(w.const_data_ptr()) % 4, 0u);
  const auto* begin = static_cast<const std::byte*>(w.const_data_ptr());
  EXPECT_EQ(begin - file.mapping->bytes().data(), static_cast<ptrdiff_t>(8 + json.size()));
  EXPECT_TRUE(torch::equal(aligned(w), torch::tensor({1.0f, 2.0f})));
  EXPECT_EQ(bytes_of(w), data);
}

TEST_F(SafetensorsFiles, TensorsOutliveTheTensorFileAndItsPath) {
  const auto path = folder_.path() / "x.safetensors";
  write_safetensors(path, {{"w", torch::arange(1000, torch::kFloat32)}});
  const Tensor w = open_safetensors(path).tensors.at("w");
  std::filesystem::remove(path);
  EXPECT_EQ(w.sum().item<float>(), 499500.0f);
}

TEST_F(SafetensorsFiles, StridedAndBooleanTensorsSurviveARoundTrip) {
  const Tensor x = torch::arange(6, torch::kFloat32).reshape({2, 3});
  const auto path = folder_.path() / "x.safetensors";
  const Metadata metadata = {{"a", "1\n\"2\""}, {"b", "é"}};
  write_safetensors(path, {{"t", x.t()}, {"e", torch::ones({1}).expand({3})}, {"b", x > 2}},
                    metadata);
  const TensorFile file = open_safetensors(path);
  EXPECT_TRUE(torch::equal(file.tensors.at("t"), x.t()));
  EXPECT_TRUE(torch::equal(file.tensors.at("e"), torch::ones({3})));
  EXPECT_TRUE(torch::equal(file.tensors.at("b"), x > 2));
  EXPECT_EQ(file.metadata, metadata);
}

TEST_F(SafetensorsFiles, WriterRefusesWhatTheFormatCannotHold) {
  const auto path = folder_.path() / "x.safetensors";
  const auto refusal = [&](const std::string& name, const Tensor& tensor) {
    return message_of<Error>([&] { write_safetensors(path, {{name, tensor}}); });
  };
  EXPECT_THAT(refusal("c", torch::zeros({1}, torch::kComplexDouble)), HasSubstr("\"c\""));
  EXPECT_THAT(refusal("__metadata__", torch::zeros({1})), HasSubstr("forbids"));
  EXPECT_THAT(refusal("\xff", torch::zeros({1})), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal("u", Tensor()), HasSubstr("undefined"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(SafetensorsFiles, TensorsMadeOneByOneGiveTheSameBytes) {
  const NamedTensors tensors{{"b", torch::randn({3, 5})},
                             {"a", torch::randn({70000}).to(torch::kHalf)},
                             {"e", torch::randn({0, 4})},
                             {"s", torch::arange(6).view({2, 3}).t()}};
  std::map<std::string, TensorPlan> plans;
  for (const auto& [name, tensor] : tensors) plans[name] = {tensor.scalar_type(), shape_of(tensor)};
  std::vector<std::string> asked;
  const auto make = [&](const std::string& name) {
    asked.push_back(name);
    return tensors.at(name).clone();
  };
  const std::filesystem::path whole = folder_.path() / "whole",
                              streamed = folder_.path() / "streamed";
  write_safetensors(whole, tensors, {{"k", "v"}});
  write_safetensors(streamed, plans, make, {{"k", "v"}});
  EXPECT_EQ(testing::read_file(whole), testing::read_file(streamed));
  EXPECT_EQ(asked, (std::vector<std::string>{"s", "b", "e", "a"}));
}

TEST_F(SafetensorsFiles, TensorsThatFailOrDifferFromThePlanLeaveNoFile) {
  const std::map<std::string, TensorPlan> plans{{"a", {torch::kFloat, {2}}},
                                                {"b", {torch::kFloat, {2}}}};
  const std::filesystem::path path = folder_.path() / "x";
  const auto refusal = [&](const Tensor& second) {
    return message_of<Error>([&] {
      write_safetensors(path, plans, [&](const std::string& name) {
        if (name == "b" && second.numel() == 0) throw Error(std::string("no more"));
        return name == "a" ? torch::zeros({2}) : second;
      });
    });
  };
  EXPECT_THAT(refusal(torch::zeros({3})), HasSubstr("[3]"));
  EXPECT_THAT(refusal(torch::zeros({2}, torch::kHalf)), HasSubstr("planned as Float"));
  EXPECT_EQ(refusal(torch::zeros({0})), "no more");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(SafetensorsFiles, TextThatTheJsonLibraryWouldLetPassIsRefused) {
  using namespace std::string_literals;
  EXPECT_THAT(refusal(container("\xEF\xBB\xBF{}")), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal(container("{}\0 "s)), HasSubstr("NUL"));
  EXPECT_THAT(refusal(container("{} /* comment */")), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(container(R"({"__metadata__":{"k":"1","k":"2"}})")), HasSubstr("twice"));
  EXPECT_THAT(refusal(container(R"({"a":null})")), HasSubstr("\"a\""));
  EXPECT_THAT(refusal(container(R"({"__metadata__":[]})")), HasSubstr("a list"));
}

TEST_F(SafetensorsFiles, NestingIsBoundedWithoutRecursion) {
  const std::string entry = R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"x":)";
  const auto nested = [&](size_t depth) {
    return container(entry + std::string(depth, '[') + std::string(depth, ']') + "}}");
  };
  EXPECT_EQ(refusal(nested(kMaxJsonDepth - 2)), "");
  EXPECT_THAT(refusal(nested(kMaxJsonDepth - 1)), HasSubstr("nested deeper"));
  EXPECT_THAT(refusal(nested(1'000'000)), HasSubstr("nested deeper"));
}

TEST_F(SafetensorsFiles, EntriesThatLibtorchCannotHoldAreInTheHeaderOnly) {
  const auto path = write_file(
      folder_.path() / "x.safetensors",
      container(R"({"f4":{"dtype":"F4","shape":[4],"data_offsets":[0,2]},)"
                R"("rank9":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[2,3]},)"
                R"("f8":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[3,4]}})",
                "\x12\x34\x01\x38"));
  EXPECT_EQ(read_safetensors_header(path).entries.size(), 3u);
  const TensorFile file = open_safetensors(path);
  ASSERT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(file.tensors.at("f8").to(torch::kFloat32).item<float>(), 1.0f);
}

TEST_F(SafetensorsFiles, HostileNamesAreEscapedAndShortenedInMessages) {
  const std::string name = "\\u001b[31m\\u202e" + std::string(500, 'x');
  const std::string message =
      refusal(container("{\"" + name + R"(":{"dtype":"F31","shape":[],"data_offsets":[0,4]}})"));
  EXPECT_THAT(message, HasSubstr("\\x1b[31m"));
  EXPECT_THAT(message, HasSubstr("\"F31\""));
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_LT(message.size(), 400u);
}

TEST_F(SafetensorsFiles, OverlongNamesAreRefused) {
  EXPECT_THAT(refusal(container("{\"" + std::string(kMaxNameBytes + 1, 'x') + "\":{}}")),
              HasSubstr("longer than"));
}

TEST_F(SafetensorsFiles, NoTruncationOrFlippedByteCrashes) {
  const auto path = folder_.path() / "valid.safetensors";
  write_safetensors(path, {{"a", torch::ones({3})}, {"b", torch::ones({2, 2}, torch::kHalf)}},
                    {{"k", "v"}});
  const std::string valid = testing::read_file(path);
  const auto parse_refusal = [](const std::string& bytes) {
    return message_of<Error>(
        [&] { parse_safetensors_header(std::as_bytes(std::span(bytes)), bytes.size(), "x"); });
  };
  for (size_t length = 0; length < valid.size(); ++length)
    EXPECT_NE(parse_refusal(valid.substr(0, length)), "") << length;
  size_t refused = 0, tried = 0;
  for (size_t i = 0; i < valid.size(); ++i) {
    for (const int mask : {0x01, 0x10, 0x80, 0xFF}) {
      std::string broken = valid;
      broken[i] = static_cast<char>(broken[i] ^ mask);
      const bool is_refused = parse_refusal(broken) != "";
      if (i % 8 == 0) {
        EXPECT_EQ(refusal(broken) != "", is_refused);
      }
      refused += is_refused;
      ++tried;
    }
  }
  EXPECT_GT(refused, tried / 4);
  EXPECT_LT(refused, tried);  // flips in the data are not the container's business
}

}  // namespace
}  // namespace fourstep
