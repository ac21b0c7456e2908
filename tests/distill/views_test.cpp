#include "distill/views.h"

#include <gtest/gtest.h>

#include "distill/tiny_distillation.h"
#include "train/random.h"

namespace fourstep {
namespace {

using testing::perturb;

struct Inputs {
  Tensor x = draw_normal({1, "x", 0}, testing::kTinyShape);
  Tensor t = torch::tensor({3, 500, 999}, torch::kInt64);
  Conditioning cond = testing::tiny_conditioning(3, 1);

  Tensor eps(View& view) const { return view.eps(x, t, cond); }
  Tensor eps(UNet unet) const {
    return unet->forward({x, t, cond.context, cond.pooled, cond.time_ids});
  }
};

std::vector<DistillConfig> all_kinds() {
  DistillConfig shared, lora, full;
  lora.backbone = full.backbone = "separate";
  full.student = "full";
  return {shared, lora, full};
}

TEST(Views, AllRolesBeginEqualToTheTeacherBitForBit) {
  const Inputs in;
  for (const DistillConfig& config : all_kinds()) {
    UNet unet = testing::tiny_unet();
    const Tensor base = in.eps(unet);
    Views views = make_views(unet, config, 1);
    EXPECT_TRUE(torch::equal(in.eps(views.teacher), base));
    EXPECT_TRUE(torch::equal(in.eps(views.student), base)) << config.backbone << config.student;
    EXPECT_TRUE(torch::equal(in.eps(views.critic), base)) << config.backbone << config.student;
  }
}

TEST(Views, WhatOneRoleLearnsTheOthersDoNotSee) {
  const Inputs in;
  for (const DistillConfig& config : all_kinds()) {
    UNet unet = testing::tiny_unet();
    const Tensor base = in.eps(unet);
    Views views = make_views(unet, config, 1);
    perturb(views.student.trainable, 0.02, 1);
    const Tensor student = in.eps(views.student);
    EXPECT_FALSE(torch::equal(student, base));
    EXPECT_TRUE(torch::equal(in.eps(views.critic), base));
    perturb(views.critic.trainable, 0.02, 2);
    EXPECT_FALSE(torch::equal(in.eps(views.critic), base));
    EXPECT_TRUE(torch::equal(in.eps(views.student), student));
    EXPECT_TRUE(torch::equal(in.eps(views.teacher), base)) << config.backbone << config.student;
    EXPECT_TRUE(torch::equal(in.eps(unet), base)) << "no adapter stays on";
  }
}

TEST(Views, InBf16TheyAreCloseAndGradientsStayFp32) {
  const Inputs in;
  DistillConfig config;
  config.precision = "bf16";
  UNet unet = testing::tiny_unet();
  const Tensor base = in.eps(unet);
  Views views = make_views(unet, config, 1);
  const Tensor eps = in.eps(views.student);
  EXPECT_EQ(eps.scalar_type(), torch::kFloat32);
  const double error = ((eps - base).norm() / base.norm()).item<double>();
  EXPECT_GT(error, 1e-4) << "computed in fp32";
  EXPECT_LT(error, 0.03);
  eps.square().mean().backward();
  for (const auto& [name, tensor] : views.student.trainable) {
    EXPECT_EQ(tensor.grad().scalar_type(), torch::kFloat32) << name;
  }
}

TEST(Views, TheBottleneckSeesTheOwnAdapter) {
  const Inputs in;
  Views views = make_views(testing::tiny_unet(), {}, 1);
  const Tensor base = views.teacher.bottleneck(in.x, in.t, in.cond);
  EXPECT_EQ(shape_of(base), (Shape{3, 128, 4, 4}));
  EXPECT_TRUE(torch::equal(views.critic.bottleneck(in.x, in.t, in.cond), base));
  perturb(views.critic.trainable, 0.02, 2);
  EXPECT_FALSE(torch::equal(views.critic.bottleneck(in.x, in.t, in.cond), base));
}

TEST(Views, OnASharedBackboneAdaptersAloneAreTrained) {
  UNet unet = testing::tiny_unet();
  DistillConfig config;
  config.student_rank = 3;
  config.critic_rank = 5;
  const Views views = make_views(unet, config, 1);
  for (const auto& [name, tensor] : parameters_of(*unet)) EXPECT_FALSE(tensor.requires_grad());
  EXPECT_TRUE(views.teacher.trainable.empty());
  EXPECT_EQ(views.student.adapter->num_modules() * 2, views.student.trainable.size());
  for (const auto& [view, rank] : {std::pair{&views.student, 3}, std::pair{&views.critic, 5}}) {
    for (const auto& [name, tensor] : view->trainable) {
      EXPECT_TRUE(tensor.requires_grad()) << name;
      EXPECT_EQ(tensor.size(name.ends_with(".lora_down.weight") ? 0 : 1), rank) << name;
    }
  }
}

TEST(Views, OnASeparateBackboneTheCriticTrainsAllItsWeights) {
  for (const char* student : {"lora", "full"}) {
    UNet unet = testing::tiny_unet();
    DistillConfig config;
    config.backbone = "separate";
    config.student = student;
    const Views views = make_views(unet, config, 1);
    EXPECT_EQ(views.critic.trainable.size(), parameters_of(*unet).size());
    EXPECT_EQ(views.critic.adapter, nullptr);
    EXPECT_EQ(views.student.adapter == nullptr, std::string(student) == "full");
    for (const auto& [name, tensor] : parameters_of(*unet)) EXPECT_FALSE(tensor.requires_grad());
  }
}

TEST(Views, StudentAndCriticFactorsDiffer) {
  const Views views = make_views(testing::tiny_unet(), {.student_rank = 4, .critic_rank = 4}, 1);
  const std::string name = "conv1.lora_down.weight";
  const auto first = std::find_if(views.student.trainable.begin(), views.student.trainable.end(),
                                  [&](const auto& item) { return item.first.ends_with(name); });
  ASSERT_NE(first, views.student.trainable.end());
  EXPECT_FALSE(torch::equal(first->second, views.critic.trainable.at(first->first)));
}

}  // namespace
}  // namespace fourstep
