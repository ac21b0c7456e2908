#pragma once
// The codes of pickle instructions. Source: Python's pickletools module. Part of pickle_machine: see there.

#include <cstdint>
#include <string>

namespace fourstep {

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

}  // namespace fourstep
