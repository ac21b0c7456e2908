#include "io/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/pickle_machine.h"
#include "io/tensor_file.h"
#include "io/zip_archive.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using namespace std::string_literals;
using testing::bytes_of;
using ::testing::HasSubstr;
using testing::message_of;
using testing::read_file;
using testing::to_hex;
using testing::write_file;

std::filesystem::path golden_pickles() { return testing::golden_dir() / "pickles"; }

void expect_tensors(const nlohmann::json& expected, const NamedTensors& tensors) {
  EXPECT_EQ(tensors.size(), expected.size());
  for (const auto& [name, item] : expected.items()) {
    ASSERT_EQ(tensors.count(name), 1u) << name;
    const Tensor& tensor = tensors.at(name);
    EXPECT_EQ(find_file_dtype(tensor.scalar_type())->name, item.at("dtype")) << name;
    EXPECT_EQ(shape_of(tensor), item.at("shape").get<Shape>()) << name;
    EXPECT_EQ(to_hex(bytes_of(tensor)), item.at("data_hex")) << name;
    EXPECT_TRUE(tensor.is_contiguous()) << name;
  }
}

TEST(GoldenPickles, FilesOfTorchSaveGiveTheirTensors) {
  const auto golden = testing::load_golden("pickles/expected.json");
  if (!golden) GTEST_SKIP() << "pickles/expected.json";
  size_t checked = 0;
  for (const auto& [name, expected] : golden->at("files").items()) {
    SCOPED_TRACE(name);
    const TensorFile file = open_pickle(golden_pickles() / name);
    expect_tensors(expected, file.tensors);
    ++checked;
  }
  testing::report_golden("pickles/expected.json", checked, 0);
}

/// Pieces of pickles, as Python's pickle module writes them with protocol 2.
std::string number(int32_t value) {
  std::string out = "J";
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  return out;
}
std::string text(const std::string& value) {
  return "X"s + number(static_cast<int32_t>(value.size())).substr(1) + value;
}
std::string tuple(const std::vector<int32_t>& values) {
  std::string out = "(";
  for (const int32_t value : values) out += number(value);
  return out + "t";
}
std::string global(const std::string& module, const std::string& name) {
  return "c"s + module + "\n" + name + "\n";
}
std::string program(const std::string& body) { return "\x80\x02"s + body + "."; }

/// A tensor on the storage "k".
struct TensorSpec {
  int32_t declared = 4;  ///< elements of the storage according to the pickle
  int32_t offset = 0;
  std::vector<int32_t> shape = {2, 2}, strides = {2, 1};
};

std::string storage(int32_t declared) {
  return "("s + text("storage") + global("torch", "FloatStorage") + text("k") + text("cpu") +
         number(declared) + "NtQ";
}

std::string tensor(const TensorSpec& spec) {
  return global("torch._utils", "_rebuild_tensor_v2") + "(" + storage(spec.declared) +
         number(spec.offset) + tuple(spec.shape) + tuple(spec.strides) + "\x89" +
         global("collections", "OrderedDict") + ")RtR";
}

/// The container of torch < 1.6 around `body`, with these storages of four floats.
std::string legacy_file(const std::string& body, const std::vector<std::string>& keys) {
  std::string file = program("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
  file += program("M\xe9\x03") + program("}") + program(body);
  std::string list = "]", data;
  for (const std::string& key : keys) {
    list += text(key) + "a";
    data += "\4\0\0\0\0\0\0\0"s + std::string(16, '\1');
  }
  return file + program(list) + data;
}

std::string named(const std::string& value) { return "}"s + text("w") + value + "s"; }

class PickleFiles : public ::testing::Test {
 protected:
  TensorFile open(const std::string& bytes) const {
    return open_pickle(write_file(folder_.path() / "x.pt", bytes));
  }
  std::string refusal(const std::string& bytes) const {
    return message_of<Error>([&] { open(bytes); });
  }
  std::string tensor_refusal(const TensorSpec& spec) const {
    return refusal(legacy_file(named(tensor(spec)), {"k"}));
  }

  testing::TemporaryFolder folder_;
};

TEST_F(PickleFiles, AHandMadeLegacyFileIsRead) {
  const TensorFile file = open(legacy_file(named(tensor({})), {"k"}));
  EXPECT_EQ(shape_of(file.tensors.at("w")), (Shape{2, 2}));
}

TEST_F(PickleFiles, TensorsOfZipFilesAreViewsAndShareStorages) {
  const TensorFile file = open_pickle(golden_pickles() / "shared.bin");
  const Tensor &whole = file.tensors.at("whole"), &row = file.tensors.at("row");
  const auto bytes = file.mapping->bytes();
  const auto* data = static_cast<const std::byte*>(whole.const_data_ptr());
  EXPECT_TRUE(data >= bytes.data() && data < bytes.data() + bytes.size());
  EXPECT_EQ(row.const_data_ptr<float>(), whole.const_data_ptr<float>() + 3);
}

TEST_F(PickleFiles, GlobalsOutsideTheListAreRefusedByName) {
  const auto called = [&](const std::string& module, const std::string& name) {
    return refusal(legacy_file(global(module, name) + "(" + text("true") + "tR", {}));
  };
  EXPECT_THAT(called("os", "system"), HasSubstr("\"os.system\""));
  EXPECT_THAT(called("posix", "system"), HasSubstr("\"posix.system\""));
  EXPECT_THAT(called("builtins", "eval"), HasSubstr("\"builtins.eval\""));
  EXPECT_THAT(called("__builtin__", "getattr"), HasSubstr("\"__builtin__.getattr\""));
  EXPECT_THAT(called("torch", "load"), HasSubstr("\"torch.load\""));
  EXPECT_THAT(called("torch.storage", "_load_from_bytes"), HasSubstr("_load_from_bytes"));
  EXPECT_THAT(called("evil\x1b[31m", "x"), HasSubstr("evil\\x1b[31m.x"));
}

TEST_F(PickleFiles, InstructionsOutsideTheListAreRefusedByName) {
  const auto run = [&](const std::string& body) { return refusal(legacy_file(body, {})); };
  EXPECT_THAT(run(text("posix") + text("system") + "\x93"),
              HasSubstr("STACK_GLOBAL \"posix.system\""));
  EXPECT_THAT(run("("s + text("true") + "ios\nsystem\n"), HasSubstr("INST \"os.system\""));
  EXPECT_THAT(run("(o"), HasSubstr("OBJ"));
  EXPECT_THAT(run("\x82\x01"), HasSubstr("EXT1"));
  EXPECT_THAT(run("S'text'\n"), HasSubstr("STRING"));
  EXPECT_THAT(run("N0"), HasSubstr("POP"));
  EXPECT_THAT(run("\xff"), HasSubstr("0xff"));
}

TEST_F(PickleFiles, CallsOfOtherThanTheListedFunctionsAreRefused) {
  const auto run = [&](const std::string& body) { return refusal(legacy_file(body, {})); };
  EXPECT_THAT(run(text("f") + ")R"), HasSubstr("REDUCE"));
  EXPECT_THAT(run(text("f") + ")\x81"), HasSubstr("NEWOBJ"));
  EXPECT_THAT(run(global("torch", "float16") + ")R"), HasSubstr("torch.float16"));
  EXPECT_THAT(run(global("torch._utils", "_rebuild_tensor_v2") + ")R"),
              HasSubstr("argument 1 of torch._utils._rebuild_tensor_v2"));
  EXPECT_THAT(run(text("x") + "}b"), HasSubstr("BUILD"));
  EXPECT_THAT(run("("s + text("module") + "tQ"), HasSubstr("BINPERSID"));
}

/// A ParameterDict as torch.save pickles it, with `state` for BUILD.
std::string parameter_dict(const std::string& state) {
  return global("torch.nn.modules.container", "ParameterDict") + ")\x81" + state + "b";
}

std::string parameters(const std::string& name, const std::string& value) {
  return "}("s + text("training") + "\x88" + text("_parameters") + "}" + text(name) + value + "s" +
         text("_backward_hooks") + global("collections", "OrderedDict") + ")Ru";
}

TEST_F(PickleFiles, ParameterDictsAreTheirParameters) {
  const std::string pickled = parameter_dict(parameters("*", tensor({})));
  const auto inner = open(legacy_file("}"s + text("string_to_param") + pickled + "s", {"k"}));
  ASSERT_EQ(inner.tensors.size(), 1u);
  EXPECT_EQ(shape_of(inner.tensors.at("*")), (Shape{2, 2}));
  EXPECT_EQ(open(legacy_file(pickled, {"k"})).tensors.count("*"), 1u);
}

TEST_F(PickleFiles, ClassesOfTheOldContainerAreKnownByNameAndTheirSourceIsIgnored) {
  const std::string id = "("s + text("module") +
                         global("torch.nn.modules.container", "ParameterDict") +
                         text("/somewhere/container.py") + text("import os") + "tQ";
  const std::string pickled = id + ")\x81" + parameters("*", tensor({})) + "b";
  EXPECT_EQ(open(legacy_file(pickled, {"k"})).tensors.count("*"), 1u);
  const auto refused = [&](const std::string& of) {
    return refusal(legacy_file("("s + text("module") + of + text("") + text("") + "tQ", {}));
  };
  EXPECT_THAT(refused(text("os.system")), HasSubstr("argument 2 of persistent_id"));
  EXPECT_THAT(refused(global("evil", "Module")), HasSubstr("\"evil.Module\""));
}

TEST_F(PickleFiles, HostileParameterDictsAreRefused) {
  const auto run = [&](const std::string& state) {
    return refusal(legacy_file(parameter_dict(state), {}));
  };
  const char* const kState = "has no dict _parameters";
  EXPECT_THAT(run("N"), HasSubstr(kState));
  EXPECT_THAT(run("}"), HasSubstr(kState));
  EXPECT_THAT(run("}"s + text("_parameters") + "]s"), HasSubstr(kState));
  EXPECT_THAT(run("}"s + text("_parameters") + "h\1s"), HasSubstr("never stored"));
  EXPECT_THAT(run(parameters("*", text("no tensor"))), HasSubstr("no named tensors"));
  const std::string unfinished = global("torch.nn.modules.container", "ParameterDict") + ")\x81";
  EXPECT_THAT(refusal(legacy_file(unfinished, {})), HasSubstr("no dict of tensors"));
  const std::string itself = "}q\1("s + text("_parameters") + "h\1u";
  EXPECT_THAT(run(itself), HasSubstr("no named tensors"));
}

TEST_F(PickleFiles, RepeatedCopiesOfParametersAreBounded) {
  std::string large = "}(";
  for (int i = 0; i < 100'000; ++i) large += "NN";
  std::string body = "]}"s + text("_parameters") + large + "usq\1" + "a";
  for (int i = 0; i < 100; ++i) body += parameter_dict("h\1") + "a";
  EXPECT_THAT(refusal(legacy_file(body, {})), HasSubstr("more list items"));
}

TEST_F(PickleFiles, MalformedProgramsAreRefused) {
  const auto run = [&](const std::string& body) { return refusal(legacy_file(body, {})); };
  EXPECT_THAT(run(""), HasSubstr("without its operands"));
  EXPECT_THAT(run("s"), HasSubstr("without its operands"));
  EXPECT_THAT(run("(NNs"), HasSubstr("without its operands"));  // would reach below the mark
  EXPECT_THAT(run("t"), HasSubstr("without its MARK"));
  EXPECT_THAT(run("h\x07"), HasSubstr("never stored"));
  EXPECT_THAT(run("Nr\xff\xff\xff\xff"), HasSubstr("LONG_BINPUT"));
  EXPECT_THAT(run("X\xff\xff\xff\xff"), HasSubstr("ends early"));
  EXPECT_THAT(run("]NNs"), HasSubstr("not a dict"));
  EXPECT_THAT(run("}Na"), HasSubstr("not a list"));
  EXPECT_THAT(run("}(Nu"), HasSubstr("without a value"));
}

TEST_F(PickleFiles, TensorsOutsideTheirStorageAreRefused) {
  EXPECT_THAT(tensor_refusal({.offset = 1}), HasSubstr("do not fit"));
  EXPECT_THAT(tensor_refusal({.offset = -1}), HasSubstr("do not fit"));
  EXPECT_THAT(tensor_refusal({.shape = {3, 2}}), HasSubstr("do not fit"));
  EXPECT_THAT(tensor_refusal({.shape = {-2, 2}}), HasSubstr("do not fit"));
  EXPECT_THAT(tensor_refusal({.strides = {-2, 1}}), HasSubstr("do not fit"));
  EXPECT_THAT(tensor_refusal({.strides = {3, 1}}), HasSubstr("do not fit"));
  EXPECT_THAT(tensor_refusal({.strides = {1}}), HasSubstr("argument 4"));
  EXPECT_THAT(tensor_refusal({.declared = 5}), HasSubstr("its tensors expect 5"));
  EXPECT_THAT(tensor_refusal({.declared = -4}), HasSubstr("-4 elements"));
}

TEST_F(PickleFiles, ExpandedTensorsCannotExhaustMemory) {
  const int32_t huge = 0x7FFFFFFF;
  EXPECT_THAT(tensor_refusal({.shape = {huge}, .strides = {0}}), HasSubstr("do not fit"));
  EXPECT_THAT(tensor_refusal({.shape = {huge, huge, huge}, .strides = {0, 0, 0}}),
              HasSubstr("do not fit"));
  EXPECT_THAT(tensor_refusal(
                  {.shape = std::vector<int32_t>(17, 1), .strides = std::vector<int32_t>(17, 1)}),
              HasSubstr("argument 3"));
}

TEST_F(PickleFiles, RepeatedCopiesOfAListAreBounded) {
  std::string body = "]("s + std::string(200'000, 'N') + "eq" + "\1"s;
  for (int i = 0; i < 100; ++i) body += global("torch", "Size") + "h\1\x85R"s;
  EXPECT_THAT(refusal(legacy_file(body, {})), HasSubstr("more list items"));
}

TEST_F(PickleFiles, DeepAndCircularValuesCostNoRecursion) {
  std::string deep;
  for (int i = 0; i < 300'000; ++i) deep += "]";
  deep += std::string(299'999, 'a');
  EXPECT_THAT(refusal(legacy_file(deep, {})), HasSubstr("no dict of tensors"));
  EXPECT_THAT(refusal(legacy_file("]q\1h\1a", {})), HasSubstr("no dict of tensors"));
  const std::string circular_dict = "}q\1"s + text("state_dict") + "h\1s";
  EXPECT_THAT(refusal(legacy_file(circular_dict, {})), HasSubstr("no named tensors"));
}

TEST_F(PickleFiles, FilesWithoutWeightsAreRefused) {
  EXPECT_THAT(refusal(legacy_file("}", {})), HasSubstr("no named tensors"));
  EXPECT_THAT(refusal(legacy_file(tensor({}), {"k"})), HasSubstr("no dict of tensors"));
  EXPECT_THAT(refusal("\x80\x02}."), HasSubstr("not a file that torch.save wrote"));
}

TEST_F(PickleFiles, StorageKeysMustAgreeWithTheFile) {
  EXPECT_THAT(refusal(legacy_file(named(tensor({})), {"m"})), HasSubstr("belongs to no tensor"));
  EXPECT_THAT(refusal(legacy_file(named(tensor({})), {})), HasSubstr("is not in the file"));
  const std::string twice =
      "}"s + text("a") + tensor({}) + "s" + text("b") + tensor({.declared = 5}) + "s";
  EXPECT_THAT(refusal(legacy_file(twice, {"k"})), HasSubstr("declared in two ways"));
}

std::string replaced(std::string bytes, const std::string& from, const std::string& to) {
  for (size_t at = bytes.find(from); at != std::string::npos; at = bytes.find(from, at + 1))
    bytes.replace(at, from.size(), to);
  return bytes;
}

/// `bytes` with one byte of the first entry of the zip directory changed.
std::string with_directory_byte(std::string bytes, size_t offset, char value) {
  bytes.at(bytes.find("PK\1\2") + offset) = value;
  return bytes;
}

TEST_F(PickleFiles, HostileZipFilesAreRefused) {
  const std::string plain = read_file(golden_pickles() / "plain.pt");
  const std::string two = read_file(golden_pickles() / "ordered.pt");
  ASSERT_FALSE(plain.empty());
  EXPECT_THAT(refusal(with_directory_byte(plain, 10, 8)), HasSubstr("is compressed"));
  EXPECT_THAT(refusal(with_directory_byte(plain, 8, 1)), HasSubstr("is encrypted"));
  EXPECT_THAT(refusal(replaced(plain, "plain/version", "../up/version")), HasSubstr("\"../up/"));
  EXPECT_THAT(refusal(replaced(plain, "plain/version", "/root/version")), HasSubstr("\"/root/"));
  EXPECT_THAT(refusal(replaced(plain, "data.pkl", "data.xyz")), HasSubstr("no data.pkl"));
  EXPECT_THAT(refusal(replaced(plain, "data/0", "data/7")), HasSubstr("is not in the file"));
  EXPECT_THAT(refusal(replaced(plain, "little", "bigbig")), HasSubstr("big-endian"));
  const std::string trainer = read_file(golden_pickles() / "trainer.ckpt");
  EXPECT_THAT(refusal(replaced(trainer, "data/1", "data/0")), HasSubstr("is there twice"));
  std::string renamed = plain;
  renamed.replace(renamed.rfind("plain/data/0"), 12, "plain/data/1");
  EXPECT_THAT(refusal(renamed), HasSubstr("another name in its own header"));
}

/// Cuts and single changed bytes of a file, at every `step`-th place.
std::vector<std::string> broken_variants(const std::string& valid, size_t step) {
  std::vector<std::string> variants;
  for (size_t i = 0; i < valid.size(); i += step) {
    variants.push_back(valid.substr(0, i));
    for (const int mask : {0x01, 0x80, 0xFF}) {
      variants.push_back(valid);
      variants.back()[i] = static_cast<char>(variants.back()[i] ^ mask);
    }
  }
  return variants;
}

TEST_F(PickleFiles, NoTruncationOrFlippedByteCrashes) {
  for (const char* name :
       {"trainer.ckpt", "legacy_shared.pt", "parameter_dict.pt", "legacy_parameter_dict.pt"}) {
    const std::string valid = read_file(golden_pickles() / name);
    ASSERT_FALSE(valid.empty());
    size_t refused = 0;
    for (const std::string& bytes : broken_variants(valid, 3)) refused += refusal(bytes) != "";
    EXPECT_GT(refused, valid.size() / 3 / 4) << name;
  }
}

TEST_F(PickleFiles, NoBrokenDirectoryOrProgramCrashes) {
  const std::string valid = read_file(golden_pickles() / "trainer.ckpt");
  const auto view = [](const std::string& text) { return std::as_bytes(std::span(text)); };
  const auto directory = read_zip_directory(view(valid), "test");
  const ZipEntry object = directory.at("trainer/data.pkl");
  const std::string pickle = valid.substr(object.begin, object.end - object.begin);
  size_t refused = 0;
  for (const std::string& bytes : broken_variants(valid, 1))
    refused += message_of<Error>([&] { read_zip_directory(view(bytes), "test"); }) != "";
  EXPECT_GT(refused, valid.size());
  refused = 0;
  for (const std::string& bytes : broken_variants(pickle, 1))
    refused += message_of<Error>([&] { read_pickle(view(bytes), "test"); }) != "";
  EXPECT_GT(refused, pickle.size());
}

}  // namespace
}  // namespace fourstep
