#include "text/bpe.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <queue>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text_tools.h"
#include "text/unicode.h"

namespace fourstep {

namespace {

constexpr int64_t kMaxMerges = 48894;  // OpenAI's file has 262,144 lines; CLIP uses these
constexpr int64_t kWordEnd = 256;      // id offset of a byte that ends its word
constexpr std::string_view kWordEndMark = "</w>";
constexpr char32_t kFirstStandIn =
    0x100;  // the byte alphabet's first character that is no byte itself
constexpr std::u32string_view kStartText = U"<|startoftext|>", kEndText = U"<|endoftext|>";
constexpr std::string_view kStartBytes = "<|startoftext|>", kEndBytes = "<|endoftext|>";

using TokenIds = std::unordered_map<std::string, int64_t>;

bool is_printable_byte(int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/// Id of each byte inside a word: the printable ones come first.
std::array<int64_t, 256> make_byte_ids() {
  std::array<int64_t, 256> ids{};
  int64_t next = 0;
  for (const bool printable : {true, false}) {
    for (int byte = 0; byte < 256; ++byte) {
      if (is_printable_byte(byte) == printable) ids[byte] = next++;
    }
  }
  return ids;
}

const std::array<int64_t, 256>& byte_ids() {
  static const std::array<int64_t, 256> ids = make_byte_ids();
  return ids;
}

/// The 512 tokens of one byte, in the byte alphabet: printable bytes stand for themselves, the
/// others for U+0100 and on.
TokenIds make_byte_tokens() {
  TokenIds tokens;
  char32_t stand_in = kFirstStandIn;
  for (int byte = 0; byte < 256; ++byte) {
    std::string text;
    append_utf8(text, is_printable_byte(byte) ? byte : stand_in++);
    tokens[text] = byte_ids()[byte];
    tokens[text.append(kWordEndMark)] = byte_ids()[byte] + kWordEnd;
  }
  return tokens;
}

/// The byte that a character of the byte alphabet stands for.
char byte_of_alphabet(char32_t c) {
  if (c < kFirstStandIn) return static_cast<char>(c);
  int byte = 0;
  for (char32_t stand_in = kFirstStandIn; byte < 255; ++byte) {
    if (!is_printable_byte(byte) && stand_in++ == c) break;
  }
  return static_cast<char>(byte);
}

std::string_view next_line(std::string_view& rest) {
  const size_t end = std::min(rest.find('\n'), rest.size());
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

uint64_t pair_key(int64_t left, int64_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint64_t>(right);
}

bool starts_with_at(std::u32string_view text, size_t i, std::u32string_view prefix) {
  return text.substr(i, prefix.size()) == prefix;
}

size_t contraction_length(std::u32string_view text, size_t i) {
  for (const std::u32string_view ending : {U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"}) {
    if (starts_with_at(text, i, ending)) return ending.size();
  }
  return 0;
}

/// End of the word at `i`, which is no white space: an ending like 's, letters, one number, or
/// symbols. Symbols stop before "!" when `bang_special`.
size_t word_end(std::u32string_view text, size_t i, bool bang_special) {
  if (const size_t length = contraction_length(text, i)) return i + length;
  const CharClass kind = char_class(text[i]);
  size_t end = i + 1;
  if (kind == CharClass::kNumber) return end;
  while (end < text.size() && char_class(text[end]) == kind &&
         !(bang_special && text[end] == U'!')) {
    ++end;
  }
  return end;
}

/// Tokens of one word as a doubly linked list over positions, so that a merge costs no shifting.
struct WordTokens {
  std::vector<int64_t> id;              ///< -1: merged into its left neighbour
  std::vector<int64_t> previous, next;  ///< -1 at the ends
};

}  // namespace

int64_t Tokenizer::comma_id() const { return byte_ids()[','] + kWordEnd; }

Tokenizer::Tokenizer(std::string_view merges_text, const std::string& what) {
  TokenIds tokens = make_byte_tokens();
  token_texts_.resize(tokens.size());
  for (const auto& [text, id] : tokens) token_texts_[id] = text;
  merges_.reserve(std::min<size_t>(kMaxMerges, merges_text.size() / 4));
  int64_t line_number = 0;
  while (!merges_text.empty() && num_merges_ < kMaxMerges) {
    const std::string_view line = next_line(merges_text);
    const bool is_header = ++line_number == 1 && line.find("#version") != std::string_view::npos;
    if (is_header || line.empty()) continue;
    const size_t blank = std::min(line.find(' '), line.size());
    const std::string left(line.substr(0, blank));
    const std::string right(line.substr(std::min(blank + 1, line.size())));
    const auto first = tokens.find(left), second = tokens.find(right);
    if (first == tokens.end() || second == tokens.end()) {
      throw Error(
          "{}: line {}: \"{}\" is no merge of two tokens known before it; is this a CLIP merges "
          "file?",
          what, line_number, line.substr(0, 40));
    }
    const int64_t id = 2 * kWordEnd + num_merges_;
    merges_.insert_or_assign(pair_key(first->second, second->second), Merge{num_merges_, id});
    tokens.insert_or_assign(left + right, id);
    token_texts_.push_back(left + right);
    ++num_merges_;
  }
  if (num_merges_ == 0) throw Error("{}: no merges found, expected lines of two tokens", what);
}

std::string Tokenizer::token_text(int64_t id) const {
  if (id == bos_id()) return std::string(kStartBytes);
  if (id == eos_id()) return std::string(kEndBytes);
  if (id < 0 || id >= vocab_size()) {
    throw Error("token_text: id {} is not in the vocabulary of {}", id, vocab_size());
  }
  return token_texts_[id];
}

std::string Tokenizer::token_bytes(int64_t id) const {
  std::string text = token_text(id);
  if (id == bos_id() || id == eos_id()) return text;
  if (text.ends_with(kWordEndMark)) text.resize(text.size() - kWordEndMark.size());
  std::string bytes;
  for (const char32_t c : decode_utf8(text)) bytes.push_back(byte_of_alphabet(c));
  return bytes;
}

const Tokenizer::Merge* Tokenizer::find_merge(int64_t left, int64_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

std::vector<int64_t> Tokenizer::encode_word(std::string_view utf8) const {
  const int64_t count = static_cast<int64_t>(utf8.size());
  WordTokens word;
  for (int64_t i = 0; i < count; ++i) {
    word.id.push_back(byte_ids()[static_cast<uint8_t>(utf8[i])]);
    word.previous.push_back(i - 1);
    word.next.push_back(i + 1 < count ? i + 1 : -1);
  }
  word.id.back() += kWordEnd;

  // Smallest rank first, then leftmost. An entry is out of date when a token of its pair has
  // changed.
  struct Candidate {
    int64_t rank, position, left, right;
    bool operator>(const Candidate& other) const {
      return std::tie(rank, position) > std::tie(other.rank, other.position);
    }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto propose = [&](int64_t i) {
    if (i < 0 || word.next[i] < 0) return;
    const int64_t left = word.id[i], right = word.id[word.next[i]];
    if (const Merge* merge = find_merge(left, right)) queue.push({merge->rank, i, left, right});
  };
  for (int64_t i = 0; i < count; ++i) propose(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    const int64_t i = best.position, j = word.next[i];
    if (word.id[i] != best.left || j < 0 || word.id[j] != best.right) continue;
    word.id[i] = find_merge(best.left, best.right)->id;
    word.id[j] = -1;
    word.next[i] = word.next[j];
    if (word.next[j] >= 0) word.previous[word.next[j]] = i;
    propose(word.previous[i]);
    propose(i);
  }
  std::erase(word.id, -1);
  return word.id;
}

void Tokenizer::append_ids(std::vector<int64_t>& ids, std::u32string_view text,
                           bool bang_special) const {
  std::unordered_map<std::string, std::vector<int64_t>> seen;
  for (size_t i = 0; i < text.size();) {
    const bool is_start = starts_with_at(text, i, kStartText);
    if (is_start || starts_with_at(text, i, kEndText)) {
      ids.push_back(is_start ? bos_id() : eos_id());
      i += is_start ? kStartText.size() : kEndText.size();
    } else if (bang_special && text[i] == U'!') {
      ids.push_back(0);
      ++i;
    } else if (char_class(text[i]) == CharClass::kSpace) {
      ++i;
    } else {
      const size_t end = word_end(text, i, bang_special);
      std::string word;
      for (; i < end; ++i) append_utf8(word, text[i]);
      const auto [entry, is_new] = seen.try_emplace(word);
      if (is_new) entry->second = encode_word(word);
      ids.insert(ids.end(), entry->second.begin(), entry->second.end());
    }
  }
}

std::vector<int64_t> Tokenizer::encode(std::string_view prompt, TokenizerOptions options) const {
  std::vector<int64_t> ids;
  const auto append = [&](std::string_view part) {
    append_ids(ids, clean_text(part, options.cleaning), options.bang_special);
  };
  while (keeps_special_tokens(options.cleaning)) {
    const size_t start = prompt.find(kStartBytes), end = prompt.find(kEndBytes);
    if (start == end) break;  // neither is there
    append(prompt.substr(0, std::min(start, end)));
    ids.push_back(start < end ? bos_id() : eos_id());
    prompt.remove_prefix(start < end ? start + kStartBytes.size() : end + kEndBytes.size());
  }
  append(prompt);
  return ids;
}

namespace {

using Pair = std::pair<std::string, std::string>;
using Symbols = std::vector<std::string>;

/// One symbol per byte, the last with the mark; empty for a word with bytes that do not stand for
/// themselves.
Symbols symbols_of(const std::string& word) {
  Symbols symbols;
  for (const char c : word) {
    if (c < 33 || c > 126) return {};
    symbols.emplace_back(1, c);
  }
  if (!symbols.empty()) symbols.back() += "</w>";
  return symbols;
}

/// The commonest pair of neighbours; two empty texts when there is none.
Pair commonest_pair(const std::vector<Symbols>& words) {
  std::map<Pair, int64_t> counts;
  for (const Symbols& word : words) {
    for (size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
  }
  const auto best =
      std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
        return a.second < b.second;  // the first of equals stays
      });
  return best == counts.end() ? Pair() : best->first;
}

void merge(Symbols& word, const Pair& pair) {
  for (size_t i = 0; i + 1 < word.size(); ++i) {
    if (word[i] != pair.first || word[i + 1] != pair.second) continue;
    word[i] += word[i + 1];
    word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
}

}  // namespace

std::string learn_merges(std::span<const std::string> words, int64_t max_merges) {
  std::vector<Symbols> split;
  for (const std::string& word : std::set<std::string>(words.begin(), words.end())) {
    Symbols symbols = symbols_of(word);
    if (symbols.size() > 1) split.push_back(std::move(symbols));
  }
  std::string text = "#version: 0.2\n";
  for (int64_t i = 0; i < max_merges; ++i) {
    const Pair pair = commonest_pair(split);
    if (pair.first.empty()) break;
    text += pair.first + " " + pair.second + "\n";
    for (Symbols& word : split) merge(word, pair);
  }
  return text;
}

}  // namespace fourstep
