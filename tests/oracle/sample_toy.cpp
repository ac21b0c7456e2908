// Samples requests with a toy network and prints where they end: what compare_schedulers.py computes with diffusers.
//
//   sample_toy REQUESTS.json
//
// REQUESTS.json: a list of requests (see pipeline/request_json.h). Prints a list of the same length: the numbers of each
// final latent, or the sentence that refuses the request.

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "pipeline/toy_sampling.h"
#include "request/request.h"

namespace fourstep {
namespace {

nlohmann::json result_of(const nlohmann::ordered_json& json) {
  try {
    const Tensor latent = testing::sample_toy(request_from_json(json)).contiguous();
    const float* values = latent.const_data_ptr<float>();
    return std::vector<float>(values, values + latent.numel());
  } catch (const InvalidRequest& refusal) {
    return refusal.what();
  }
}

}  // namespace
}  // namespace fourstep

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const torch::NoGradGuard no_grad;
  std::ifstream in(argv[1]);
  nlohmann::json results = nlohmann::json::array();
  for (const auto& request : nlohmann::ordered_json::parse(in)) {
    results.push_back(fourstep::result_of(request));
  }
  fmt::print("{}\n", results.dump());
  return 0;
}
