#pragma once
// A stack machine for the few pickle instructions that PyTorch's checkpoints consist of. It builds
// plain data and nothing else: no name in a pickle is ever looked up or called. Names that
// torch.save writes stand for fixed constructions of this file; every other instruction or name is
// refused, and named.
// Source: the instruction set of Python's pickletools; the admitted set is that of torch 1.13's
// weights-only reader, and floats, `_rebuild_tensor_v3` and `_rebuild_from_type_v2` of later ones.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

// The codes of pickle instructions. Source: Python's pickletools module. Part of pickle_machine:
// see there.

/// The instructions that a plain checkpoint may hold.
enum class PickleOpcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kEmptyList = ']',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kEmptyDict = '}',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8A,
  kEmptySet = 0x8F,
};

/// "STACK_GLOBAL": the name of an instruction that is not admitted, or its number in hexadecimal.
std::string pickle_opcode_name(PickleOpcode code);

enum class PickleKind {
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kGlobal,   ///< a name that has not been applied to anything
  kStorage,  ///< a reference to bytes elsewhere in the file
  kTensor,
  kContainer,  ///< a ParameterDict or the like before BUILD makes it a kDict; text: its name
  kInert,      ///< something harmless that is not kept: a numpy scalar, a trainer's callback
};

/// One value. Values refer to each other by pointers into the document that owns all of them, so
/// that deep or circular pickles cost no recursion.
struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  int64_t integer = 0;  ///< kBool, kInt; kStorage: number of elements; kTensor: offset in elements
  double real = 0;      ///< kFloat
  std::string text;     ///< kString; kGlobal: "module name"; kStorage: key of the bytes
  torch::ScalarType dtype = torch::kFloat32;  ///< kStorage, kTensor
  std::vector<const PickleValue*> items;      ///< kList, kTuple; kDict: key, value, key, value, ...
  const PickleValue* storage = nullptr;       ///< kTensor
  Shape shape, strides;                       ///< kTensor, strides in elements; not yet checked
};

struct PickleDocument {
  std::deque<PickleValue> values;
  const PickleValue* root = nullptr;
  size_t num_bytes = 0;  ///< length of the pickle: what follows its STOP is something else
};

/// Bounds that no checkpoint comes near, for pickles made to exhaust memory.
inline constexpr size_t kMaxPickleInstructions = 8'000'000;
inline constexpr uint32_t kMaxPickleMemo = 4'000'000;
inline constexpr size_t kMaxPickleRank = 16;

/// Reads the pickle at the start of `bytes`. where: operation and file, for messages.
/// Throws Error naming the instruction or the global name that is not admitted, or what is
/// malformed.
PickleDocument read_pickle(std::span<const std::byte> bytes, const std::string& where);

/// The value of a key of a dict that is this text; null when there is none, or `dict` is not a
/// dict.
const PickleValue* find_item(const PickleValue& dict, std::string_view key);

}  // namespace fourstep
