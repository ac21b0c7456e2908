#include "io/dtypes.h"

#include <algorithm>
#include <array>

namespace fourstep {

namespace {

/// In the order of the reference implementation's enumeration, from which its writer sorts downwards.
constexpr std::array<FileDtype, 22> kFileDtypes = {{
    {"BOOL", 8, torch::kBool},
    {"F4", 4, std::nullopt},
    {"F6_E2M3", 6, std::nullopt},
    {"F6_E3M2", 6, std::nullopt},
    {"U8", 8, torch::kUInt8},
    {"I8", 8, torch::kInt8},
    {"F8_E5M2", 8, torch::kFloat8_e5m2},
    {"F8_E4M3", 8, torch::kFloat8_e4m3fn},
    {"F8_E8M0", 8, torch::kFloat8_e8m0fnu},
    {"F8_E4M3FNUZ", 8, torch::kFloat8_e4m3fnuz},
    {"F8_E5M2FNUZ", 8, torch::kFloat8_e5m2fnuz},
    {"I16", 16, torch::kInt16},
    {"U16", 16, torch::kUInt16},
    {"F16", 16, torch::kFloat16},
    {"BF16", 16, torch::kBFloat16},
    {"I32", 32, torch::kInt32},
    {"U32", 32, torch::kUInt32},
    {"F32", 32, torch::kFloat32},
    {"C64", 64, torch::kComplexFloat},
    {"F64", 64, torch::kFloat64},
    {"I64", 64, torch::kInt64},
    {"U64", 64, torch::kUInt64},
}};

template <typename Predicate>
const FileDtype* find(const Predicate& matches) {
  const auto* found = std::find_if(kFileDtypes.begin(), kFileDtypes.end(), matches);
  return found == kFileDtypes.end() ? nullptr : &*found;
}

}  // namespace

const FileDtype* find_file_dtype(std::string_view name) {
  return find([name](const FileDtype& dtype) { return dtype.name == name; });
}

const FileDtype* find_file_dtype(torch::ScalarType scalar_type) {
  return find([scalar_type](const FileDtype& dtype) { return dtype.scalar_type == scalar_type; });
}

}  // namespace fourstep
