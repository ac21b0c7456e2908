#include "io/pickle_machine.h"

#include <fmt/format.h>
#include <bit>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "io/pickle_rebuild.h"
#include "io/text_encoding.h"

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

namespace {

using enum PickleOpcode;

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& where)
      : bytes_(bytes), where_(where) {}

  PickleDocument run() {
    for (size_t count = 0;; ++count) {
      if (count >= kMaxPickleInstructions)
        throw Error("{}: the pickle has more than {} instructions", where_, kMaxPickleInstructions);
      const auto code = static_cast<PickleOpcode>(read_number(1));
      if (code == kStop) break;
      const bool known =
          run_scalar(code) || run_container(code) || run_memo(code) || run_call(code);
      if (!known)
        throw Error(
            "{}: refused: pickle instruction {} before byte {} is not part of a plain checkpoint; "
            "get the model as safetensors",
            where_, refused_instruction(code), position_);
    }
    document_.root = pop();
    document_.num_bytes = position_;
    return std::move(document_);
  }

 private:
  bool run_scalar(PickleOpcode code) {
    switch (code) {
      case kProto:
        read_number(1);
        return true;
      case kNone:
        push_new(PickleKind::kNone);
        return true;
      case kNewTrue:
        push_number(PickleKind::kBool, 1);
        return true;
      case kNewFalse:
        push_number(PickleKind::kBool, 0);
        return true;
      case kBinInt:
        push_number(PickleKind::kInt, static_cast<int32_t>(read_number(4)));
        return true;
      case kBinInt1:
        push_number(PickleKind::kInt, static_cast<int64_t>(read_number(1)));
        return true;
      case kBinInt2:
        push_number(PickleKind::kInt, static_cast<int64_t>(read_number(2)));
        return true;
      case kLong1:
        push_long(read_number(1));
        return true;
      case kBinFloat:
        push_float();
        return true;
      case kShortBinString:
        push_text(read_number(1));
        return true;
      case kBinUnicode:
        push_text(read_number(4));
        return true;
      default:
        return false;
    }
  }

  bool run_container(PickleOpcode code) {
    switch (code) {
      case kMark:
        marks_.push_back(stack_.size());
        return true;
      case kEmptyList:
      case kEmptySet:
        push_new(PickleKind::kList);
        return true;
      case kEmptyDict:
        push_new(PickleKind::kDict);
        return true;
      case kEmptyTuple:
        push_new(PickleKind::kTuple);
        return true;
      case kTuple:
        push_tuple(pop_to_mark());
        return true;
      case kTuple1:
        push_tuple(pop_many(1));
        return true;
      case kTuple2:
        push_tuple(pop_many(2));
        return true;
      case kTuple3:
        push_tuple(pop_many(3));
        return true;
      case kAppend:
        extend(PickleKind::kList, pop_many(1));
        return true;
      case kAppends:
        extend(PickleKind::kList, pop_to_mark());
        return true;
      case kSetItem:
        extend(PickleKind::kDict, pop_many(2));
        return true;
      case kSetItems:
        extend(PickleKind::kDict, pop_to_mark());
        return true;
      default:
        return false;
    }
  }

  bool run_memo(PickleOpcode code) {
    switch (code) {
      case kBinGet:
        push_memo(static_cast<uint32_t>(read_number(1)));
        return true;
      case kLongBinGet:
        push_memo(static_cast<uint32_t>(read_number(4)));
        return true;
      case kBinPut:
        put_memo(static_cast<uint32_t>(read_number(1)));
        return true;
      case kLongBinPut:
        put_memo(static_cast<uint32_t>(read_number(4)));
        return true;
      default:
        return false;
    }
  }

  bool run_call(PickleOpcode code) {
    switch (code) {
      case kGlobal:
        push_global();
        return true;
      case kBinPersId:
        push(resolve_persistent_id(*pop(), where_));
        return true;
      case kReduce:
        call("REDUCE");
        return true;
      case kNewObj:
        call("NEWOBJ");
        return true;
      case kBuild: {
        const PickleValue* state = pop();
        apply_build(*top(), *state, where_);
        count_items(*top());
        return true;
      }
      default:
        return false;
    }
  }

  /// The instruction's name, and that of the Python object it asks for.
  std::string refused_instruction(PickleOpcode code) {
    constexpr PickleOpcode kInst{'i'}, kStackGlobal{0x93};
    const std::string name = pickle_opcode_name(code);
    if (code == kInst) {
      const std::string module = read_line();
      return fmt::format("{} {}", name, printable(module + "." + read_line()));
    }
    if (code != kStackGlobal || available() < 2) return name;
    const PickleValue *module = stack_[stack_.size() - 2], *object = stack_.back();
    return fmt::format("{} {}", name, printable(module->text + "." + object->text));
  }

  [[noreturn]] void malformed(const char* what) const {
    throw Error("{}: malformed pickle: {} at byte {}", where_, what, position_);
  }

  std::string_view read_bytes(uint64_t count) {
    if (count > bytes_.size() - position_) malformed("it ends early (truncated file?)");
    const auto* start = reinterpret_cast<const char*>(bytes_.data()) + position_;
    position_ += count;
    return {start, static_cast<size_t>(count)};
  }

  /// Unsigned, little-endian, of `num_bytes` bytes.
  uint64_t read_number(size_t num_bytes) {
    const std::string_view text = read_bytes(num_bytes);
    uint64_t value = 0;
    for (size_t i = 0; i < num_bytes; ++i)
      value |= static_cast<uint64_t>(static_cast<uint8_t>(text[i])) << (8 * i);
    return value;
  }

  std::string read_line() {
    constexpr size_t kMaxNameLength = 256;
    std::string line;
    for (char c = read_bytes(1)[0]; c != '\n'; c = read_bytes(1)[0]) {
      if (line.size() >= kMaxNameLength) malformed("GLOBAL with an overlong name");
      line += c;
    }
    return line;
  }

  /// Calls copy lists: this bounds what a few bytes can ask for.
  void count_items(const PickleValue& value) {
    num_items_ += value.items.size();
    if (num_items_ > kMaxPickleInstructions) malformed("more list items than any real checkpoint");
  }

  void push(PickleValue value) {
    count_items(value);
    document_.values.push_back(std::move(value));
    stack_.push_back(&document_.values.back());
  }

  PickleValue& push_new(PickleKind kind) {
    PickleValue value;
    value.kind = kind;
    push(std::move(value));
    return *stack_.back();
  }

  void push_number(PickleKind kind, int64_t value) { push_new(kind).integer = value; }
  void push_text(uint64_t length) { push_new(PickleKind::kString).text = read_bytes(length); }
  void push_float() {
    uint64_t bits = 0;  // the one big-endian number of the format
    for (const char c : read_bytes(8)) bits = bits << 8 | static_cast<uint8_t>(c);
    push_new(PickleKind::kFloat).real = std::bit_cast<double>(bits);
  }

  /// Two's complement of `num_bytes` bytes. Longer numbers than 64 bits occur in random-generator
  /// states only, and are not kept.
  void push_long(uint64_t num_bytes) {
    if (num_bytes > 8) {
      read_bytes(num_bytes);
      push_new(PickleKind::kInert);
      return;
    }
    const uint64_t value = read_number(num_bytes);
    const auto unused = static_cast<int>(64 - 8 * num_bytes);
    push_number(PickleKind::kInt,
                num_bytes == 0 ? 0 : static_cast<int64_t>(value << unused) >> unused);
  }

  void push_tuple(std::vector<const PickleValue*> items) {
    push_new(PickleKind::kTuple).items = std::move(items);
  }

  void push_global() {
    const std::string module = read_line(), name = read_line();
    check_global(module, name, where_);
    push_new(PickleKind::kGlobal).text = module + " " + name;
  }

  void push_memo(uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) malformed("BINGET of a value that was never stored");
    stack_.push_back(found->second);
  }

  void put_memo(uint32_t index) {
    if (index > kMaxPickleMemo) malformed("LONG_BINPUT with an index beyond any real checkpoint's");
    memo_[index] = top();
  }

  size_t available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  PickleValue* top() {
    if (available() == 0) malformed("an instruction without its operands");
    return stack_.back();
  }

  PickleValue* pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
  }

  std::vector<const PickleValue*> pop_many(size_t count) {
    if (available() < count) malformed("an instruction without its operands");
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
    std::vector<const PickleValue*> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    return items;
  }

  std::vector<const PickleValue*> pop_to_mark() {
    if (marks_.empty()) malformed("an instruction without its MARK");
    const std::vector<const PickleValue*> items = pop_many(available());
    marks_.pop_back();
    return items;
  }

  void extend(PickleKind kind, const std::vector<const PickleValue*>& items) {
    PickleValue* container = top();
    if (container->kind == PickleKind::kInert) return;
    if (container->kind != kind)
      malformed(kind == PickleKind::kDict ? "SETITEM on something that is not a dict"
                                          : "APPEND on something that is not a list");
    if (kind == PickleKind::kDict && items.size() % 2 != 0) malformed("SETITEMS without a value");
    container->items.insert(container->items.end(), items.begin(), items.end());
  }

  void call(const char* instruction) {
    const PickleValue* arguments = pop();
    const PickleValue* function = pop();
    if (function->kind != PickleKind::kGlobal || arguments->kind != PickleKind::kTuple)
      throw Error("{}: refused: {} of something that is not a named function", where_, instruction);
    push(apply_global(*function, arguments->items, where_));
  }

  std::span<const std::byte> bytes_;
  const std::string& where_;
  size_t position_ = 0;
  PickleDocument document_;
  std::vector<PickleValue*> stack_;
  size_t num_items_ = 0;
  std::vector<size_t> marks_;  ///< heights of the stack
  std::unordered_map<uint32_t, PickleValue*> memo_;
};

}  // namespace

PickleDocument read_pickle(std::span<const std::byte> bytes, const std::string& where) {
  return Machine(bytes, where).run();
}

const PickleValue* find_item(const PickleValue& dict, std::string_view key) {
  if (dict.kind != PickleKind::kDict) return nullptr;
  const PickleValue* found = nullptr;  // of a key given twice the last counts, as in Python
  for (size_t i = 0; i + 1 < dict.items.size(); i += 2)
    if (dict.items[i]->kind == PickleKind::kString && dict.items[i]->text == key)
      found = dict.items[i + 1];
  return found;
}

}  // namespace fourstep
