#pragma once
// Reading the golden files of tests/oracle/make_nets.py, and the two comparisons that every network gets.

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <map>
#include <string>

#include "layers/layers.h"
#include "support/golden.h"
#include "support/random_weights.h"

namespace fourstep::testing {

/// These networks are so small that threads would mostly wait for each other.
inline const bool kOneThread = (at::set_num_threads(1), true);

inline Tensor seeded_randn(const Shape& shape, uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), torch::kFloat32);
}

/// The input `name` of a run: "<name>": shape, "<name>_seed": seed.
inline Tensor golden_input(const nlohmann::json& run, const std::string& name) {
  return seeded_randn(run.at(name).get<Shape>(), run.at(name + "_seed").get<uint64_t>());
}

inline Tensor golden_output(const nlohmann::json& run) {
  const std::string bytes = decode_base64(run.at("output").get<std::string>());
  const Tensor out = torch::empty(run.at("shape").get<Shape>());
  if (bytes.size() != out.nbytes()) throw std::runtime_error("output and shape do not fit");
  std::memcpy(out.mutable_data_ptr(), bytes.data(), bytes.size());
  return out;
}

/// max|got - expected| / max|expected|.
inline double max_error(const Tensor& got, const Tensor& expected) {
  return ((got - expected).abs().max() / expected.abs().max()).item<double>();
}

/// rms(got - expected) / rms(expected).
inline double rms_error(const Tensor& got, const Tensor& expected) {
  return ((got - expected).square().mean() / expected.square().mean()).sqrt().item<double>();
}

inline NamedShapes shapes_of_module(const nn::Module& module) {
  NamedShapes shapes;
  for (const auto& item : module.named_parameters()) shapes[item.key()] = shape_of(item.value());
  return shapes;
}

/// The network with random weights in fp32.
template <typename Net>
Net with_random_weights(Net net) {
  load_weights(*net, random_weights(shapes_of_module(*net)), torch::kFloat32, torch::kCPU, "test");
  return net;
}

inline NamedShapes golden_shapes(const nlohmann::json& golden_case) {
  return golden_case.at("shapes").get<NamedShapes>();
}

/// Gives `net` the random weights of the case in `dtype`, computes every run of the case with `run` and
/// passes result and run to `check`. Returns the number of runs.
template <typename Net, typename Run, typename Check>
size_t check_runs(Net net, const nlohmann::json& golden_case, torch::Dtype dtype, Run run,
                  Check check) {
  const torch::NoGradGuard no_grad;
  load_weights(*net, random_weights(golden_shapes(golden_case)), dtype, torch::kCPU, "test");
  expect_norm_eps(*net, golden_case);
  for (const auto& item : golden_case.at("runs")) {
    SCOPED_TRACE(golden_case.at("name").get<std::string>());
    const Tensor got = run(net, item);
    EXPECT_EQ(got.scalar_type(), torch::kFloat32);
    EXPECT_EQ(got.sizes(), golden_output(item).sizes());
    if (got.sizes() == golden_output(item).sizes()) check(got, item);
  }
  return golden_case.at("runs").size();
}

/// Every norm has the eps that diffusers' has; with random weights the outputs do not show it.
inline void expect_norm_eps(const nn::Module& net, const nlohmann::json& golden_case) {
  std::map<std::string, double> eps;
  for (const auto& item : net.named_modules("", /*include_self=*/false)) {
    if (const auto* group = item.value()->as<GroupNormImpl>()) eps[item.key()] = group->eps;
    if (const auto* layer = item.value()->as<LayerNormImpl>()) eps[item.key()] = layer->eps;
  }
  EXPECT_EQ(eps, (golden_case.at("norm_eps").get<std::map<std::string, double>>()));
}

/// The fp32 bound: max|difference| <= 1e-5 max|expected|.
inline void expect_equal_fp32(const Tensor& got, const nlohmann::json& run) {
  EXPECT_LE(max_error(got, golden_output(run)), 1e-5);
}

/// Gathers bf16 results of many runs: each is far from diffusers' fp32 result by chance more or less than
/// diffusers' own bf16 run is, so only all together tell.
class Bf16Error {
 public:
  void add(const Tensor& got, const nlohmann::json& run) {
    const double own = rms_error(got, golden_output(run)), reference = run.at("bf16_error");
    own_ += own * own;
    reference_ += reference * reference;
  }

  /// The bf16 bound: no further from fp32 than 1.1 times diffusers' bf16.
  void expect_as_good_as_reference() const {
    const double ratio = std::sqrt(own_ / reference_);
    fmt::print("bf16 error / diffusers' bf16 error: {:.3f}\n", ratio);
    EXPECT_LE(ratio, 1.1);
    EXPECT_GE(ratio, 0.5) << "not computed in bf16?";
  }

 private:
  double own_ = 0, reference_ = 0;
};

}  // namespace fourstep::testing
