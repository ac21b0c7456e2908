#include "workbench/lora_ranks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace fourstep {
namespace {

const char* rule_name(RankRule rule) {
  switch (rule) {
    case RankRule::kRatio:
      return "sv_ratio";
    case RankRule::kCumulative:
      return "sv_cumulative";
    case RankRule::kFrobenius:
      return "sv_fro";
    default:
      return "rank";
  }
}

/// The smallest count whose sum reaches `target`. sums: [k], rising.
int64_t count_reaching(const Tensor& sums, double target) {
  // Rounding must not ask for one value more where the target is met exactly.
  constexpr double kSlack = 1e-12;
  return (sums < target - kSlack).sum().item<int64_t>() + 1;
}

int64_t wanted_rank(const Tensor& s, const RankChoice& choice) {
  switch (choice.rule) {
    case RankRule::kRatio:
      return (s > s.max() / choice.target).sum().item<int64_t>();
    case RankRule::kCumulative:
      return count_reaching(s.cumsum(0) / s.sum(), choice.target);
    case RankRule::kFrobenius:
      return count_reaching(s.square().cumsum(0) / s.square().sum(), choice.target * choice.target);
    default:
      return choice.max_rank;
  }
}

}  // namespace

void check(const RankChoice& choice) {
  if (choice.max_rank < 1) {
    throw InvalidRequest("--rank {}: expected a whole number above 0", choice.max_rank);
  }
  if (choice.rule == RankRule::kFixed) return;
  const bool is_ratio = choice.rule == RankRule::kRatio;
  const bool is_valid = is_ratio ? choice.target > 1 && std::isfinite(choice.target)
                                 : choice.target > 0 && choice.target <= 1;
  if (is_valid) return;
  throw InvalidRequest("{} {}: expected {}", rule_name(choice.rule), choice.target,
                       is_ratio ? "a number above 1" : "a share above 0, at most 1");
}

int64_t choose_rank(const Tensor& singular_values, const RankChoice& choice) {
  const int64_t most = std::min(choice.max_rank, singular_values.size(0));
  if (singular_values[0].item<double>() == 0) return 1;  // nothing to share out
  return std::clamp<int64_t>(wanted_rank(singular_values, choice), 1, most);
}

double discarded_norm(const Tensor& singular_values, int64_t rank) {
  const int64_t rest = singular_values.size(0) - rank;
  if (rest <= 0) return 0;
  return std::sqrt(singular_values.narrow(0, rank, rest).square().sum().item<double>());
}

std::string text_of(const RankChoice& choice) {
  if (choice.rule == RankRule::kFixed) return fmt::format("rank {}", choice.max_rank);
  return fmt::format("{} {}, at most rank {}", rule_name(choice.rule), choice.target,
                     choice.max_rank);
}

}  // namespace fourstep
