#include "workbench/lora_algebra.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "lora/fuse.h"
#include "lora/relative_change.h"

namespace fourstep {

namespace {

/// As a matrix in double; views of files may be unaligned.
Tensor matrix(const Tensor& tensor) { return aligned(tensor).to(torch::kDouble).flatten(1); }

double sum_of_products(const Tensor& a, const Tensor& b) { return (a * b).sum().item<double>(); }

double product_inner(const Factors& a, const Factors& b) {
  return sum_of_products(torch::mm(a.up.t(), b.up), torch::mm(a.down, b.down.t()));
}

/// Below this share of the norm's square, sums of products have lost half of double's digits.
constexpr double kCancelling = 1e-8;

/// ||B A||^2 = ||R_b R_a'||^2 with B = Q_b R_b, A' = Q_a R_a.
double norm_squared_by_qr(const Factors& factors) {
  const Tensor r_up = std::get<1>(torch::linalg_qr(factors.up, "r"));
  const Tensor r_down = std::get<1>(torch::linalg_qr(factors.down.t(), "r"));
  return torch::mm(r_up, r_down.t()).square().sum().item<double>();
}

Shape extents_of(const LoraModule& module) {
  const std::optional<Shape> extents = delta_extents(module);
  if (!extents) throw Error("lora: the factors of a module do not fit each other");
  return *extents;
}

void check_extents(const LoraModule& a, const LoraModule& b) {
  const Shape of_a = extents_of(a), of_b = extents_of(b);
  if (of_a == of_b) return;
  throw Error("lora: differences of {} and {} belong to weights of different shapes",
              to_string(of_a), to_string(of_b));
}

Decomposition exact(const Tensor& matrix) {
  auto [u, s, v] = torch::linalg_svd(matrix, /*full_matrices=*/false);
  return {u, s, v};
}

Decomposition in_double(const Decomposition& d) {
  return {d.u.to(torch::kDouble), d.s.to(torch::kDouble), d.v.to(torch::kDouble)};
}

/// An orthonormal basis of what `matrix` maps random vectors to.
Tensor find_range(const Tensor& matrix, int64_t size) {
  constexpr int kPowerIterations = 3;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(0);
  Tensor q = torch::randn({matrix.size(1), size}, generator, matrix.options());
  q = std::get<0>(torch::linalg_qr(torch::mm(matrix, q)));
  for (int i = 0; i < kPowerIterations; ++i) {
    q = std::get<0>(torch::linalg_qr(torch::mm(matrix.t(), q)));
    q = std::get<0>(torch::linalg_qr(torch::mm(matrix, q)));
  }
  return q;
}

}  // namespace

std::optional<Factors> factors_of(const LoraModule& module, double scale) {
  const auto* low = std::get_if<LowRank>(&module.weight);
  if (!low || low->mid.defined()) return std::nullopt;
  return Factors{matrix(low->up) * (factor_of(module) * scale), matrix(low->down)};
}

Tensor dense_delta(const LoraModule& module) {
  if (is_relative(module)) {
    throw Error(
        "lora: what a module of {} adds depends on the weight, so it has no norm of its own",
        kind_of(module));
  }
  if (const auto factors = factors_of(module)) return torch::mm(factors->up, factors->down);
  LoraModule plain = module;
  plain.dora_scale = Tensor();
  return delta(plain, extents_of(module)).to(torch::kDouble);
}

double inner(const LoraModule& a, const LoraModule& b) {
  check_extents(a, b);
  const auto of_a = factors_of(a), of_b = factors_of(b);
  if (of_a && of_b) return product_inner(*of_a, *of_b);
  return sum_of_products(dense_delta(a), dense_delta(b));
}

double norm_squared(const LoraModule& module) {
  if (const auto factors = factors_of(module)) {
    const double squared = product_inner(*factors, *factors);
    return squared < 0 ? 0 : squared;  // rounding; std::max would turn NaN into 0
  }
  return dense_delta(module).square().sum().item<double>();
}

double distance_squared(const LoraModule& a, const LoraModule& b, double scale) {
  check_extents(a, b);
  const auto of_a = factors_of(a), of_b = factors_of(b, scale);
  if (!of_a || !of_b) {
    return (dense_delta(a) - dense_delta(b) * scale).square().sum().item<double>();
  }
  Factors difference;
  if (of_a->up.size(1) == of_b->up.size(1)) {
    // B_a A_a - B_b A_b = (B_a - B_b) A_a + B_b (A_a - A_b)
    difference.up = torch::cat({of_a->up - of_b->up, of_b->up}, 1);
    difference.down = torch::cat({of_a->down, of_a->down - of_b->down}, 0);
  } else {
    difference.up = torch::cat({of_a->up, -of_b->up}, 1);
    difference.down = torch::cat({of_a->down, of_b->down}, 0);
  }
  const double squared = product_inner(difference, difference);
  const bool is_accurate = squared > kCancelling * product_inner(*of_a, *of_a);
  return is_accurate ? squared : norm_squared_by_qr(difference);
}

Decomposition decompose(const Factors& factors) {
  const int64_t rank = factors.up.size(1);
  if (rank >= std::min(factors.up.size(0), factors.down.size(1)))
    return exact(torch::mm(factors.up, factors.down));
  const auto [q_up, r_up] = torch::linalg_qr(factors.up);
  const auto [q_down, r_down] = torch::linalg_qr(factors.down.t());
  const Decomposition core = exact(torch::mm(r_up, r_down.t()));
  return {torch::mm(q_up, core.u), core.s, torch::mm(core.v, q_down.t())};
}

Decomposition decompose(const LoraModule& module) {
  if (const auto factors = factors_of(module)) return decompose(*factors);
  return exact(dense_delta(module));
}

Decomposition decompose_largest(const Tensor& matrix, int64_t rank) {
  constexpr int64_t kOversampling = 16, kExactSize = 384;
  const int64_t smaller = std::min(matrix.size(0), matrix.size(1));
  const int64_t size = rank + kOversampling;
  if (smaller <= std::max(kExactSize, 2 * size)) return exact(matrix.to(torch::kDouble));
  const Tensor q = find_range(matrix, size);
  const Decomposition core = exact(torch::mm(q.t(), matrix));
  return in_double({torch::mm(q, core.u), core.s, core.v});
}

LoraModule module_from(const Decomposition& decomposition, int64_t rank, const Shape& shape,
                       torch::ScalarType dtype) {
  const Tensor root = decomposition.s.narrow(0, 0, rank).sqrt();
  const Tensor up = decomposition.u.narrow(1, 0, rank) * root;
  const Tensor down = decomposition.v.narrow(0, 0, rank) * root.unsqueeze(1);
  Shape up_shape{shape[0], rank}, down_shape(shape);
  down_shape[0] = rank;
  up_shape.resize(shape.size(), 1);
  const auto finished = [&](const Tensor& tensor, const Shape& as) {
    return tensor.to(dtype).contiguous().reshape(as);
  };
  LoraModule module{LowRank{finished(down, down_shape), finished(up, up_shape), {}}, {}, {}, {}};
  module.alpha = static_cast<double>(rank);
  return module;
}

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
