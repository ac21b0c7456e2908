#include "io/pickle_rebuild.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "io/text_encoding.h"

namespace fourstep {

namespace {

struct NamedType {
  std::string_view name;
  torch::ScalarType dtype;
};

constexpr std::array<NamedType, 13> kStorageTypes = {{
    {"torch DoubleStorage", torch::kFloat64},
    {"torch FloatStorage", torch::kFloat32},
    {"torch HalfStorage", torch::kFloat16},
    {"torch BFloat16Storage", torch::kBFloat16},
    {"torch LongStorage", torch::kInt64},
    {"torch IntStorage", torch::kInt32},
    {"torch ShortStorage", torch::kInt16},
    {"torch CharStorage", torch::kInt8},
    {"torch ByteStorage", torch::kUInt8},
    {"torch BoolStorage", torch::kBool},
    {"torch ComplexFloatStorage", torch::kComplexFloat},
    {"torch ComplexDoubleStorage", torch::kComplexDouble},
    {"torch.storage UntypedStorage", torch::kUInt8},
}};

constexpr std::array<NamedType, 20> kDtypes = {{
    {"torch float64", torch::kFloat64},
    {"torch float32", torch::kFloat32},
    {"torch float16", torch::kFloat16},
    {"torch bfloat16", torch::kBFloat16},
    {"torch int64", torch::kInt64},
    {"torch int32", torch::kInt32},
    {"torch int16", torch::kInt16},
    {"torch int8", torch::kInt8},
    {"torch uint8", torch::kUInt8},
    {"torch uint16", torch::kUInt16},
    {"torch uint32", torch::kUInt32},
    {"torch uint64", torch::kUInt64},
    {"torch bool", torch::kBool},
    {"torch complex64", torch::kComplexFloat},
    {"torch complex128", torch::kComplexDouble},
    {"torch float8_e4m3fn", torch::kFloat8_e4m3fn},
    {"torch float8_e5m2", torch::kFloat8_e5m2},
    {"torch float8_e8m0fnu", torch::kFloat8_e8m0fnu},
    {"torch float8_e4m3fnuz", torch::kFloat8_e4m3fnuz},
    {"torch float8_e5m2fnuz", torch::kFloat8_e5m2fnuz},
}};

/// Names whose results are not kept. Trainer checkpoints hold them beside the weights; ComfyUI lets
/// the same ones pass.
constexpr std::array<std::string_view, 6> kInertNames = {
    "torch device",
    "_codecs encode",
    "numpy dtype",
    "numpy.core.multiarray scalar",
    "numpy._core.multiarray scalar",
    "pytorch_lightning.callbacks.model_checkpoint ModelCheckpoint",
};

/// Containers of parameters that old trainers pickle whole. Their parameters are named in the state
/// that BUILD gives them (`_parameters`); hooks and flags beside it are not kept. Source:
/// torch/nn/modules/container.py.
constexpr std::array<std::string_view, 4> kContainers = {
    "torch.nn.modules.container ParameterDict",
    "torch.nn.modules.container ParameterList",
    "torch.nn.modules.container ModuleDict",
    "torch.nn.modules.container ModuleList",
};

/// What protocol 2 writes for a Python 3 set.
constexpr std::string_view kSet = "__builtin__ set";
constexpr std::string_view kOrderedDict = "collections OrderedDict";
constexpr std::string_view kSize = "torch Size";
constexpr std::string_view kTensor = "torch Tensor";
constexpr std::string_view kParameter = "torch.nn.parameter Parameter";
constexpr std::string_view kRebuildTensor = "torch._utils _rebuild_tensor";
constexpr std::string_view kRebuildTensorV2 = "torch._utils _rebuild_tensor_v2";
constexpr std::string_view kRebuildTensorV3 = "torch._utils _rebuild_tensor_v3";
constexpr std::string_view kRebuildParameter = "torch._utils _rebuild_parameter";
/// A parameter with Python attributes, which are not kept.
constexpr std::string_view kRebuildParameterWithState =
    "torch._utils _rebuild_parameter_with_state";
constexpr std::string_view kRebuildFromType = "torch._tensor _rebuild_from_type_v2";

constexpr std::array<std::string_view, 11> kConstructions = {kOrderedDict,
                                                             kSize,
                                                             kTensor,
                                                             kParameter,
                                                             kRebuildTensor,
                                                             kRebuildTensorV2,
                                                             kRebuildTensorV3,
                                                             kRebuildParameter,
                                                             kRebuildFromType,
                                                             kSet,
                                                             kRebuildParameterWithState};

template <size_t n>
std::optional<torch::ScalarType> find_type(const std::array<NamedType, n>& types,
                                           std::string_view name) {
  for (const NamedType& type : types)
    if (type.name == name) return type.dtype;
  return std::nullopt;
}

template <size_t n>
bool contains(const std::array<std::string_view, n>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// "torch._utils _rebuild_tensor_v2" as Python writes it: with a dot.
std::string dotted(std::string_view global) {
  std::string text(global);
  std::replace(text.begin(), text.end(), ' ', '.');
  return text;
}

bool is_sequence(const PickleValue& value) {
  return value.kind == PickleKind::kTuple || value.kind == PickleKind::kList;
}

/// The arguments of one call, with the checks that make them usable.
class Arguments {
 public:
  Arguments(std::string_view function, std::span<const PickleValue* const> values,
            const std::string& where)
      : function_(function), values_(values), where_(where) {}

  size_t size() const { return values_.size(); }

  const PickleValue& at(size_t i, PickleKind kind) const {
    if (i >= values_.size() || values_[i]->kind != kind) refuse(i);
    return *values_[i];
  }

  const PickleValue& sequence(size_t i) const {
    if (i >= values_.size() || !is_sequence(*values_[i])) refuse(i);
    return *values_[i];
  }

  Shape shape(size_t i) const {
    const PickleValue& list = sequence(i);
    if (list.items.size() > kMaxPickleRank) refuse(i);
    Shape numbers;
    for (const PickleValue* item : list.items) {
      if (item->kind != PickleKind::kInt) refuse(i);
      numbers.push_back(item->integer);
    }
    return numbers;
  }

  /// Marks of lazily conjugated or negated values are not supported: they would change every
  /// number.
  void check_no_marks(size_t i) const {
    if (i < values_.size() && !values_[i]->items.empty()) refuse(i);
  }

  [[noreturn]] void refuse(size_t i) const {
    throw Error("{}: argument {} of {} is not what torch.save writes", where_, i + 1,
                dotted(function_));
  }

 private:
  std::string_view function_;
  std::span<const PickleValue* const> values_;
  const std::string& where_;
};

/// (storage, offset, shape, strides, ...): the arguments of all rebuilding functions, and the state
/// of old-style tensors.
PickleValue make_tensor(const Arguments& arguments) {
  PickleValue tensor;
  tensor.kind = PickleKind::kTensor;
  tensor.storage = &arguments.at(0, PickleKind::kStorage);
  tensor.dtype = tensor.storage->dtype;
  tensor.integer = arguments.at(1, PickleKind::kInt).integer;
  tensor.shape = arguments.shape(2);
  tensor.strides = arguments.shape(3);
  if (tensor.strides.size() != tensor.shape.size()) arguments.refuse(3);
  return tensor;
}

PickleValue make_typed_tensor(const Arguments& arguments) {
  constexpr size_t kDtypeArgument = 6;
  constexpr size_t kMarksArgument = 7;
  arguments.check_no_marks(kMarksArgument);
  PickleValue tensor = make_tensor(arguments);
  const auto dtype = find_type(kDtypes, arguments.at(kDtypeArgument, PickleKind::kGlobal).text);
  if (!dtype) arguments.refuse(kDtypeArgument);
  tensor.dtype = *dtype;
  return tensor;
}

PickleValue make_dict(const Arguments& arguments) {
  PickleValue dict;
  dict.kind = PickleKind::kDict;
  if (arguments.size() == 0) return dict;
  for (const PickleValue* pair : arguments.sequence(0).items) {
    if (!is_sequence(*pair) || pair->items.size() != 2) arguments.refuse(0);
    dict.items.insert(dict.items.end(), pair->items.begin(), pair->items.end());
  }
  return dict;
}

/// Elements of a set are never asked for, so it may be a list.
PickleValue make_set(const Arguments& arguments) {
  PickleValue list;
  list.kind = PickleKind::kList;
  if (arguments.size() != 0) list.items = arguments.sequence(0).items;
  return list;
}

PickleValue make_size(const Arguments& arguments) {
  PickleValue tuple = arguments.sequence(0);
  tuple.kind = PickleKind::kTuple;
  return tuple;
}

/// (function, type, arguments, state): a tensor with Python attributes, which are not kept.
PickleValue rebuild_from_type(const Arguments& arguments, const std::string& where) {
  const PickleValue& function = arguments.at(0, PickleKind::kGlobal);
  if (function.text == kRebuildFromType) arguments.refuse(0);  // torch never nests it
  return apply_global(function, arguments.at(2, PickleKind::kTuple).items, where);
}

/// The container becomes the dict of its parameters.
void fill_container(PickleValue& target, const PickleValue& state, const std::string& where) {
  const PickleValue* parameters = find_item(state, "_parameters");
  if (!parameters || parameters->kind != PickleKind::kDict) {
    throw Error("{}: the state of {} has no dict _parameters, which torch.save writes", where,
                dotted(target.text));
  }
  target = *parameters;
}

}  // namespace

void check_global(const std::string& module, const std::string& name, const std::string& where) {
  const std::string global = module + " " + name;
  const bool admitted = contains(kConstructions, global) || contains(kInertNames, global) ||
                        contains(kContainers, global) || find_type(kStorageTypes, global) ||
                        find_type(kDtypes, global);
  if (admitted) return;
  throw Error(
      "{}: refused: the pickle asks for the Python object {}, which is not part of a plain "
      "checkpoint (it could run code); get the model as safetensors",
      where, printable(module + "." + name));
}

PickleValue apply_global(const PickleValue& function, std::span<const PickleValue* const> arguments,
                         const std::string& where) {
  const std::string_view name = function.text;
  const Arguments checked(name, arguments, where);
  if (name == kRebuildTensorV2) checked.check_no_marks(6);
  if (name == kRebuildTensor || name == kRebuildTensorV2) return make_tensor(checked);
  if (name == kRebuildTensorV3) return make_typed_tensor(checked);
  if (name == kRebuildParameter || name == kRebuildParameterWithState || name == kParameter)
    return checked.at(0, PickleKind::kTensor);
  if (name == kRebuildFromType) return rebuild_from_type(checked, where);
  if (name == kOrderedDict) return make_dict(checked);
  if (name == kSize) return make_size(checked);
  if (name == kSet) return make_set(checked);
  if (contains(kContainers, name)) {
    PickleValue container;
    container.kind = PickleKind::kContainer;
    container.text = name;
    return container;
  }
  PickleValue inert;
  inert.kind = PickleKind::kInert;
  if (contains(kInertNames, name)) return inert;
  throw Error("{}: refused: REDUCE calls {}, which torch.save never does", where, dotted(name));
}

PickleValue resolve_persistent_id(const PickleValue& id, const std::string& where) {
  constexpr size_t kModuleIdItems = 4;  // "module", class, source file, source text
  const bool is_module = id.kind == PickleKind::kTuple && id.items.size() == kModuleIdItems &&
                         id.items[0]->kind == PickleKind::kString && id.items[0]->text == "module";
  if (!is_module) return make_storage(id, where);
  return Arguments("persistent_id", id.items, where).at(1, PickleKind::kGlobal);
}

PickleValue make_storage(const PickleValue& id, const std::string& where) {
  constexpr size_t kViewMetadata = 5;  // in the legacy container only; None since torch 0.4
  const Arguments parts("persistent_id", id.items, where);
  if (id.kind != PickleKind::kTuple || id.items.size() < kViewMetadata ||
      parts.at(0, PickleKind::kString).text != "storage")
    throw Error("{}: refused: BINPERSID with an id that is not a tensor's storage", where);
  if (id.items.size() > kViewMetadata) parts.at(kViewMetadata, PickleKind::kNone);
  const auto dtype = find_type(kStorageTypes, parts.at(1, PickleKind::kGlobal).text);
  if (!dtype) parts.refuse(1);
  constexpr size_t kMaxKeyBytes = 256;
  if (parts.at(2, PickleKind::kString).text.size() > kMaxKeyBytes) parts.refuse(2);
  PickleValue storage;
  storage.kind = PickleKind::kStorage;
  storage.dtype = *dtype;
  storage.text = parts.at(2, PickleKind::kString).text;
  storage.integer = parts.at(4, PickleKind::kInt).integer;
  return storage;
}

void apply_build(PickleValue& target, const PickleValue& state, const std::string& where) {
  const bool keeps_nothing = target.kind == PickleKind::kDict || target.kind == PickleKind::kInert;
  if (keeps_nothing) return;
  if (target.kind == PickleKind::kContainer) return fill_container(target, state, where);
  if (target.kind != PickleKind::kTensor || !is_sequence(state))
    throw Error("{}: refused: BUILD on a value that is no tensor, OrderedDict or container", where);
  target = make_tensor(Arguments("torch.Tensor.__setstate__", state.items, where));
}

}  // namespace fourstep
