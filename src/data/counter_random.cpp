#include "data/counter_random.h"

#include "base/error.h"
#include "base/noise.h"

namespace fourstep {

// Philox's counter has 32 bits for the index; those above go into the key.
CounterRandom::CounterRandom(uint64_t seed, int64_t index, RandomPurpose purpose)
    : seed_(seed ^ (static_cast<uint64_t>(index) >> 32) * 0x9E3779B97F4A7C15),
      draw_(static_cast<uint32_t>(index)),
      element_(static_cast<uint32_t>(purpose) << 24) {
  if (index < 0) throw Error("CounterRandom: example {} was asked for; they count from 0", index);
}

uint32_t CounterRandom::word() { return philox_words(seed_, draw_, element_++)[0]; }

int64_t CounterRandom::below(int64_t count) {
  return static_cast<int64_t>((uint64_t{word()} * static_cast<uint64_t>(count)) >> 32);
}

bool CounterRandom::chance(double share) { return word() < share * 0x1p32; }

}  // namespace fourstep
