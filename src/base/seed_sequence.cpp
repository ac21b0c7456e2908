#include "base/seed_sequence.h"

#include <algorithm>

#include "base/error.h"

namespace fourstep {

namespace {

/// A hash whose constant changes with every word it takes.
struct Hash {
  uint32_t constant, multiplier;

  uint32_t operator()(uint32_t word) {
    word ^= constant;
    constant *= multiplier;
    word *= constant;
    return word ^ (word >> 16);
  }
};

uint32_t mix(uint32_t kept, uint32_t added) {
  const uint32_t mixed = 0xCA01F9DD * kept - 0x4973F715 * added;
  return mixed ^ (mixed >> 16);
}

/// The 32-bit words of a number, lowest first; one word for 0.
void append_words(std::vector<uint32_t>& words, uint64_t number) {
  words.push_back(static_cast<uint32_t>(number));
  if (number >> 32) words.push_back(static_cast<uint32_t>(number >> 32));
}

std::vector<uint32_t> entropy_words(const SeedSequence& sequence) {
  std::vector<uint32_t> words;
  append_words(words, sequence.entropy);
  // Padded, so that entropy and key cannot run into each other.
  if (!sequence.spawn_key.empty()) words.resize(std::max(words.size(), sequence.pool_size));
  for (const uint64_t number : sequence.spawn_key) append_words(words, number);
  return words;
}

std::vector<uint32_t> mixed_pool(const SeedSequence& sequence) {
  std::vector<uint32_t> words = entropy_words(sequence);
  words.resize(std::max(words.size(), sequence.pool_size));
  Hash hash{0x43B0D7E5, 0x931E8875};
  std::vector<uint32_t> pool;
  for (size_t i = 0; i < sequence.pool_size; ++i) pool.push_back(hash(words[i]));
  for (size_t from = 0; from < pool.size(); ++from) {
    for (size_t to = 0; to < pool.size(); ++to) {
      if (from != to) pool[to] = mix(pool[to], hash(pool[from]));
    }
  }
  for (size_t from = pool.size(); from < words.size(); ++from) {
    for (uint32_t& word : pool) word = mix(word, hash(words[from]));
  }
  return pool;
}

}  // namespace

std::vector<uint32_t> seed_words(const SeedSequence& sequence, size_t count) {
  constexpr size_t kMinPool = 4;
  if (sequence.pool_size < kMinPool) {
    throw Error("seed_words: a pool of {} words, expected at least {}", sequence.pool_size,
                kMinPool);
  }
  const std::vector<uint32_t> pool = mixed_pool(sequence);
  Hash hash{0x8B51F9DD, 0x58F38DED};
  std::vector<uint32_t> words;
  for (size_t i = 0; i < count; ++i) words.push_back(hash(pool[i % pool.size()]));
  return words;
}

}  // namespace fourstep
