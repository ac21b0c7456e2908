// Runs iterations of DMD2 with the weights and conditions of a file and writes all random numbers and results:
// what compare_distill.py computes again.
//
//   distill_step INPUT.safetensors OUTPUT.safetensors
//
// INPUT: metadata "config" (a DistillConfig as JSON), "seed" and "iterations"; tensors "unet/NAME" (the teacher),
// "student/NAME" and "critic/NAME" (what is trained, under the names of the Distillation), "real", "cond/context",
// "cond/pooled", "cond/time_ids" and the same under "real_cond".
// OUTPUT: "I/NAME" for each iteration I. What an iteration did not compute is left out.

#include "distill/train_step.h"
#include "io/fields_json.h"
#include "io/safetensors.h"
#include "train/loop.h"
#include "train/random.h"

namespace fourstep {
namespace {

UNet unet_of(const NamedTensors& weights) {
  UNet unet(unet_config_from_shapes(shapes_of(weights), {}, "teacher"));
  load_weights(*unet, weights, {}, "teacher");
  return unet;
}

Conditioning conditioning_of(const NamedTensors& input, const std::string& name) {
  return {input.at(name + "/context"), input.at(name + "/pooled"), input.at(name + "/time_ids")};
}

Tensor number(double value) { return at::scalar_tensor(value, torch::kFloat64); }

void add_noised(NamedTensors& out, const std::string& name, const NoisedAt& at) {
  out[name + ".t"] = at.timesteps;
  out[name + ".noise"] = at.noise;
}

NamedTensors tensors_of(const StepDraws& draws) {
  NamedTensors out;
  out["student_step"] = number(static_cast<double>(draws.student_step));
  for (size_t j = 0; j < draws.rollout.size(); ++j) {
    out[fmt::format("rollout.{}", j)] = draws.rollout[j];
  }
  add_noised(out, "matching", draws.matching.matching);
  add_noised(out, "guidance", draws.matching.guidance);
  add_noised(out, "gan", draws.gan);
  add_noised(out, "critic", draws.critic);
  add_noised(out, "fake", draws.fake);
  add_noised(out, "real", draws.real);
  return out;
}

NamedTensors tensors_of(const StepSchedule& schedule) {
  return {{"is_student_turn", number(schedule.is_student_turn)},
          {"has_gan", number(schedule.has_gan)},
          {"cfg_scale", number(schedule.cfg_scale)},
          {"student_lr", number(schedule.student_lr)},
          {"critic_lr", number(schedule.critic_lr)}};
}

NamedTensors tensors_of(const StepResult& result) {
  NamedTensors out = {{"x0", result.x0},
                      {"critic_loss", number(result.critic_loss)},
                      {"critic_grad_norm", number(result.critic_grad_norm)}};
  if (result.gradient.defined()) out["gradient"] = result.gradient;
  const auto add = [&out](const char* name, const std::optional<double>& value) {
    if (value) out[name] = number(*value);
  };
  add("matching_loss", result.matching_loss);
  add("gan_loss", result.gan_loss);
  add("student_grad_norm", result.student_grad_norm);
  add("discriminator_loss", result.discriminator_loss);
  return out;
}

/// Parameters after the iteration and the moments of their optimisers.
NamedTensors trained_tensors(const Distillation& d) {
  NamedTensors out;
  add_prefixed(out, "student", d.views.student.trainable);
  add_prefixed(out, "critic", d.critic_parameters());
  add_prefixed(out, "student_optimizer", d.student_optimizer.state());
  add_prefixed(out, "critic_optimizer", d.critic_optimizer.state());
  return clone_tensors(out);
}

NamedTensors run(const TensorFile& input) {
  DistillConfig config;
  read_fields(nlohmann::ordered_json::parse(input.metadata.at("config")), config, "the settings");
  const uint64_t seed = std::stoull(input.metadata.at("seed"));
  const Shape shape = shape_of(input.tensors.at("real"));
  Distillation d = make_distillation(config, unet_of(take_prefixed(input.tensors, "unet")),
                                     {shape.begin() + 1, shape.end()}, seed);
  copy_tensors(take_prefixed(input.tensors, "student"), d.views.student.trainable, "student");
  copy_tensors(take_prefixed(input.tensors, "critic"), d.critic_parameters(), "critic");
  const DistillBatch batch{conditioning_of(input.tensors, "cond"), input.tensors.at("real"),
                           conditioning_of(input.tensors, "real_cond")};
  NamedTensors out;
  for (int64_t i = 0; i < std::stoll(input.metadata.at("iterations")); ++i) {
    const StepDraws draws = draw_step(config, seed, i, shape);
    const StepSchedule schedule = schedule_of(config, i);
    const std::string prefix = std::to_string(i);
    add_prefixed(out, prefix + "/draws", tensors_of(draws));
    add_prefixed(out, prefix + "/schedule", tensors_of(schedule));
    add_prefixed(out, prefix, tensors_of(train_step(d, batch, draws, schedule)));
    add_prefixed(out, prefix, trained_tensors(d));
  }
  return out;
}

}  // namespace
}  // namespace fourstep

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  fourstep::write_safetensors(argv[2], fourstep::run(fourstep::open_safetensors(argv[1])));
  return 0;
}
