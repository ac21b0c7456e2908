#include "pipeline/hires.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "support/golden.h"
#include "support/tiny_run.h"

namespace fourstep {
namespace {

using nlohmann::json;

const std::map<std::string, LatentUpscale> kUpscalers = {
    {"nearest-exact", LatentUpscale::kNearestExact},
    {"bilinear", LatentUpscale::kBilinear},
    {"area", LatentUpscale::kArea},
    {"bicubic", LatentUpscale::kBicubic},
    {"Latent", LatentUpscale::kBilinear},
    {"Latent (antialiased)", LatentUpscale::kBilinearAntialiased},
    {"Latent (bicubic)", LatentUpscale::kBicubic},
    {"Latent (bicubic antialiased)", LatentUpscale::kBicubicAntialiased},
    {"Latent (nearest)", LatentUpscale::kNearest},
    {"Latent (nearest-exact)", LatentUpscale::kNearestExact},
};

ResolvedRequest resolved_with_hires(Dialect dialect, const std::string& sampler,
                                    const std::string& schedule, int64_t steps, double denoise) {
  Request asked;
  asked.sampling.dialect = dialect;
  asked.sampling.sampler = sampler;
  asked.sampling.schedule = schedule;
  asked.sampling.steps = steps;
  asked.hires.scale = 2;
  asked.hires.denoise = denoise;
  return resolve(asked, {});
}

/// Whether the case is one of what is here, and its largest relative error.
std::optional<double> check_case(const json& c) {
  const std::string name = c.at("name");
  if (name == "comfyui_denoise_slice") {
    const ResolvedRequest request = resolved_with_hires(
        Dialect::kComfy, c.at("sampler"), c.at("schedule"), c.at("steps"), c.at("denoise"));
    return testing::max_relative_error(plan_passes(request).at(1).plan.sigmas,
                                       testing::numbers(c.at("sigmas_f32")), 1e-3);
  }
  if (name == "a1111_img2img_steps" && c.at("explicit_steps").is_number()) {
    const ResolvedRequest request = resolved_with_hires(
        Dialect::kA1111, "euler", "karras", c.at("explicit_steps"), c.at("denoising_strength"));
    const std::vector<double> sigmas = plan_passes(request).at(1).plan.sigmas;
    EXPECT_EQ(static_cast<int64_t>(sigmas.size()) - 1, c.at("number_of_sampling_steps"));
    const double expected = c.at("first_sigma_karras_f32");
    return std::abs(sigmas[0] - expected) / expected;
  }
  const bool is_upscale = name == "comfyui_latent_upscale" || name == "a1111_latent_upscale";
  if (!is_upscale) return std::nullopt;
  const auto mode = kUpscalers.find(name[0] == 'c' ? c.at("method") : c.at("label"));
  if (mode == kUpscalers.end()) return std::nullopt;
  const Tensor x = torch::tensor(testing::numbers(c.at("x")), torch::kFloat32)
                       .view(c.at("in_shape").get<Shape>());
  const Tensor out = upscale_latent(x, c.at("height"), c.at("width"), mode->second);
  return testing::max_absolute_error(testing::to_doubles(out), testing::numbers(c.at("out")));
}

TEST(GoldenHires, SchedulesAndLatentsEqualComfyuisAndA1111s) {
  const char* file = "img2img_hires.json";
  const auto golden = testing::load_golden(file);
  if (!golden) GTEST_SKIP() << file << " is not there";
  size_t checked = 0, skipped = 0;
  for (const json& c : (*golden)["cases"]) {
    const auto error = check_case(c);
    if (!error) {
      ++skipped;
      continue;
    }
    EXPECT_LE(*error, 2e-5) << c.dump().substr(0, 200);
    ++checked;
  }
  testing::report_golden(file, checked, skipped);
}

class Hires : public testing::TinyRun {};

TEST_F(Hires, TheSecondPassIsLargerAndFollowsTheFirst) {
  Request plain = request(), hires = request();
  hires.hires.scale = 1.5;
  hires.hires.denoise = 0.1;
  const auto first = run(plain), second = run(hires);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].image.sizes(), (Shape{1, 3, 96, 96}));
  EXPECT_TRUE(second[0].latent.isfinite().all().item<bool>());
  hires.hires.scale = 1;
  EXPECT_TRUE(torch::equal(run(hires)[0].latent, first[0].latent)) << "off";
}

TEST_F(Hires, LittleNoiseKeepsThePicture) {
  Request r = request();
  r.sampling.schedule = "karras";
  const Tensor upscaled = upscale_latent(run(r)[0].latent, 16, 16, LatentUpscale::kNearestExact);
  r.hires.scale = 2;
  const auto distance = [&](double denoise) {
    r.hires.denoise = denoise;
    return (run(r)[0].latent - upscaled).abs().mean().item<double>();
  };
  EXPECT_LT(distance(0.05), distance(1));
}

TEST_F(Hires, StepsStrengthAndNoiseOfThePassesAreTheirOwn) {
  Request r = request();
  r.sampling.steps = 4;
  r.hires = {.scale = 2, .steps = 6, .denoise = 0.5};
  const auto passes = plan_passes(resolve(r, {}));
  EXPECT_EQ(passes.at(0).plan.sigmas.size(), 5u);
  EXPECT_EQ(passes.at(1).plan.sigmas.size(), 7u);
  EXPECT_EQ(passes.at(1).plan.noise_scale, NoiseScale::kSigma);
  r.sampling.timesteps = {999, 749, 499, 249};
  EXPECT_THROW(plan_passes(resolve(r, {})), InvalidRequest);
}

}  // namespace
}  // namespace fourstep
