#include "guidance/adm_guidance.h"

#include "support/guidance_golden.h"

namespace fourstep {
namespace {

using nlohmann::json;

double size_error(const SizeConditioning& got, const json& expected) {
  return testing::max_absolute_error(testing::to_doubles(size_time_ids(got)),
                                     testing::numbers(expected));
}

double check_sizes(const json& one) {
  double error = 0;
  for (const json& size : one.at("cases")) {
    const int64_t width = size.at("width"), height = size.at("height");
    error = std::max({error,
                      size_error(emphasized_size(width, height, size.at("scale")),
                                 size.at("emphasized_h_w_cy_cx_th_tw")),
                      size_error(consistent_size(width, height), size.at("consistent"))});
  }
  return error;
}

double check_switch(const json& one) {
  std::vector<double> got;
  for (const double timestep : testing::numbers(one.at("timesteps"))) {
    got.push_back(is_emphasized(timestep, one.at("adm_scaler_end")) ? 1 : 0);
  }
  return testing::max_absolute_error(got, testing::numbers(one.at("uses_emphasized")));
}

TEST(GoldenGuidance, SizesEqualFooocus) {
  testing::check_guidance_cases(
      {{"fooocus_adm_sizes", check_sizes}, {"fooocus_adm_switch", check_switch}});
}

TEST(AdmGuidance, NeutralFactorsTellThePictureSizeAtAllSteps) {
  const SizeOverSteps size = told_sizes({{1, 1, 0.3}}, 1000, 760, torch::kCPU).prompt;
  EXPECT_TRUE(torch::equal(size.at(999), size_time_ids({760, 1000, 0, 0, 760, 1000})));
  EXPECT_TRUE(torch::equal(size.at(0), size.at(999)));
}

}  // namespace
}  // namespace fourstep
