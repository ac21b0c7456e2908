#include "io/pickle_opcodes.h"

#include <fmt/format.h>

#include <unordered_map>

namespace fourstep {

std::string pickle_opcode_name(PickleOpcode code) {
  static const std::unordered_map<uint8_t, const char*> kNames = {{'0', "POP"},
                                                                  {'1', "POP_MARK"},
                                                                  {'2', "DUP"},
                                                                  {'F', "FLOAT"},
                                                                  {'I', "INT"},
                                                                  {'L', "LONG"},
                                                                  {'P', "PERSID"},
                                                                  {'S', "STRING"},
                                                                  {'T', "BINSTRING"},
                                                                  {'V', "UNICODE"},
                                                                  {'d', "DICT"},
                                                                  {'g', "GET"},
                                                                  {'i', "INST"},
                                                                  {'l', "LIST"},
                                                                  {'o', "OBJ"},
                                                                  {'p', "PUT"},
                                                                  {'B', "BINBYTES"},
                                                                  {'C', "SHORT_BINBYTES"},
                                                                  {0x82, "EXT1"},
                                                                  {0x83, "EXT2"},
                                                                  {0x84, "EXT4"},
                                                                  {0x8B, "LONG4"},
                                                                  {0x8C, "SHORT_BINUNICODE"},
                                                                  {0x8D, "BINUNICODE8"},
                                                                  {0x8E, "BINBYTES8"},
                                                                  {0x90, "ADDITEMS"},
                                                                  {0x91, "FROZENSET"},
                                                                  {0x92, "NEWOBJ_EX"},
                                                                  {0x93, "STACK_GLOBAL"},
                                                                  {0x94, "MEMOIZE"},
                                                                  {0x95, "FRAME"},
                                                                  {0x96, "BYTEARRAY8"},
                                                                  {0x97, "NEXT_BUFFER"},
                                                                  {0x98, "READONLY_BUFFER"}};
  const auto found = kNames.find(static_cast<uint8_t>(code));
  return found == kNames.end() ? fmt::format("0x{:02x}", static_cast<uint8_t>(code))
                               : found->second;
}

}  // namespace fourstep
