#include <gtest/gtest.h>

#include "base/error.h"
#include "lora/fuse.h"
#include "lora/lora_file.h"
#include "lora/lora_match.h"

namespace fourstep {
namespace {

constexpr int64_t kMaxRank = 5;
const std::string kModule = "down_blocks.0.attentions.0.proj_in";

/// All dimensions 2, so that products and ranks agree wherever the number of dimensions does.
Tensor of_rank(int64_t rank) { return torch::ones(Shape(rank, 2)); }

LoraTargets targets_of(const Shape& weight) {
  return {{{Component::kUnet, {{kModule + ".weight", weight}, {kModule + ".bias", {2}}}}}, {}};
}

/// Reads, matches and fuses; true when everything fitted. Only Error may come out of what does not.
bool is_applied(const NamedTensors& tensors, const Shape& target) {
  TensorFile file;
  file.path = "odd.safetensors";
  file.tensors = tensors;
  try {
    const LoraMatch match = match_lora(parse_lora(file), targets_of(target));
    for (const MatchedModule& m : match.matched) {
      const Shape shape = m.parameter.ends_with("bias") ? Shape{2} : target;
      EXPECT_EQ(shape_of(fuse(torch::ones(shape), {{m.module, 0.5}})), shape);
    }
    return match.unmatched.empty();
  } catch (const Error&) {
    return false;
  }
}

struct Kind {
  const char* name;
  std::vector<std::string> parts;  ///< suffixes of the tensors
};

const Kind kKinds[] = {
    {"LoRA", {"lora_down.weight", "lora_up.weight"}},
    {"LoCon with mid", {"lora_down.weight", "lora_up.weight", "lora_mid.weight"}},
    {"DoRA", {"lora_down.weight", "lora_up.weight", "dora_scale"}},
    {"PEFT DoRA", {"lora_A.weight", "lora_B.weight", "lora_magnitude_vector"}},
    {"LoHa", {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}},
    {"LoHa of Tucker form",
     {"hada_w1_a", "hada_w1_b", "hada_t1", "hada_w2_a", "hada_w2_b", "hada_t2"}},
    {"whole LoKr", {"lokr_w1", "lokr_w2"}},
    {"LoKr", {"lokr_w1", "lokr_w2_a", "lokr_w2_b", "alpha"}},
    {"LoKr of Tucker form", {"lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b", "lokr_t2"}},
    {"LoKr with factors beside the whole",
     {"lokr_w1", "lokr_w2", "lokr_w1_b", "lokr_w2_b", "lokr_t2"}},
    {"difference", {"diff", "diff_b"}},
    {"norm", {"w_norm", "b_norm"}}};

/// Matrices, but one number, a bias, and the core of a Tucker form with a kernel of 2x2.
int64_t usual_rank(const std::string& part) {
  if (part == "alpha") return 0;
  if (part == "diff_b" || part == "b_norm") return 1;
  const bool is_core = part == "lora_mid.weight" || part.find("_t") != std::string::npos;
  return is_core ? 4 : 2;
}

/// The tensors of the kind; number `part` gets another rank.
NamedTensors damaged(const Kind& kind, size_t part, int64_t rank) {
  NamedTensors tensors;
  for (size_t i = 0; i < kind.parts.size(); ++i) {
    const std::string& name = kind.parts[i];
    tensors["lora_unet_down_blocks_0_attentions_0_proj_in." + name] =
        of_rank(i == part ? rank : usual_rank(name));
  }
  return tensors;
}

TEST(LoraRanks, TensorsOfAnyRankFitOrAreAnErrorOfOurs) {
  const Shape targets[] = {{2}, {2, 2}, {4, 4}, {2, 2, 1, 1}, {2, 2, 2, 2}, {4, 4, 2, 2}};
  for (const Kind& kind : kKinds) {
    for (size_t part = 0; part < kind.parts.size(); ++part) {
      for (int64_t rank = 0; rank <= kMaxRank; ++rank) {
        for (const Shape& target : targets) {
          EXPECT_NO_THROW(is_applied(damaged(kind, part, rank), target))
              << kind.name << ", " << kind.parts[part] << " of rank " << rank << " for "
              << to_string(target);
        }
      }
    }
  }
}

TEST(LoraRanks, TensorsOfTheRightRankAreApplied) {
  const std::map<std::string, Shape> fitting = {{"LoRA", {2, 2}},
                                                {"LoCon with mid", {2, 2, 2, 2}},
                                                {"DoRA", {2, 2}},
                                                {"LoHa", {2, 2}},
                                                {"LoHa of Tucker form", {2, 2, 2, 2}},
                                                {"whole LoKr", {4, 4}},
                                                {"LoKr of Tucker form", {4, 4, 2, 2}},
                                                {"LoKr with factors beside the whole", {4, 4}},
                                                {"difference", {2, 2}}};
  for (const Kind& kind : kKinds) {
    const auto target = fitting.find(kind.name);
    if (target == fitting.end()) continue;
    const bool is_dora = kind.name == std::string("DoRA");
    EXPECT_TRUE(is_applied(is_dora ? damaged(kind, 2, 1) : damaged(kind, 99, 0), target->second))
        << kind.name;
  }
}

TEST(LoraRanks, AMatrixInPlaceOfAMidKernelDoesNotFit) {
  EXPECT_FALSE(is_applied(damaged(kKinds[1], 2, 2), {2, 2}));
  EXPECT_FALSE(is_applied(damaged(kKinds[1], 2, 2), {2, 2, 1, 1}));
}

TEST(LoraRanks, ModulesMadeByHandHaveNoExtentsWithoutMatrices) {
  for (int64_t rank = 0; rank < 2; ++rank) {
    const Tensor bad = of_rank(rank), good = of_rank(2);
    EXPECT_FALSE(delta_extents({LowRank{good, bad, {}}, {}, {}, {}})) << rank;
    EXPECT_FALSE(delta_extents({LowRank{bad, good, {}}, {}, {}, {}})) << rank;
    EXPECT_FALSE(delta_extents({LowRank{good, good, bad}, {}, {}, {}})) << rank;
    EXPECT_FALSE(delta_extents({LoKr{bad, {}, {}, good, {}, {}, {}}, {}, {}, {}})) << rank;
  }
}

}  // namespace
}  // namespace fourstep
