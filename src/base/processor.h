#pragma once
// What the processor at hand can do, asked at run time.

namespace fourstep {

/// AVX512-BF16: bf16 products at twice the rate of fp32. Every processor with AMX has it too.
bool has_avx512_bf16();

}  // namespace fourstep
