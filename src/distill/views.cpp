#include "distill/views.h"

#include "layers/layers.h"
#include "train/optimizer.h"
#include "train/random.h"

namespace fourstep {

namespace {

UNetInput input_of(const Tensor& x_t, const Tensor& timesteps, const Conditioning& cond,
                   const UNetExtras& extras) {
  return {x_t, timesteps, cond.context, cond.pooled, cond.time_ids, &extras};
}

/// A copy with fp32 weights of its own.
UNet copy_of(UNet unet) {
  UNet copy(unet->config);
  load_weights(*copy, parameters_of(*unet), {.device = unet->conv_in->weight.device()}, "copy");
  return copy;
}

/// The network with the adapter, if there is one.
View view_of(UNet unet, std::shared_ptr<Adapter> adapter, NamedTensors trainable,
             const DistillConfig& config) {
  View view;
  view.extras.adapters = branches_of(adapter.get());
  view.extras.checkpointing = config.gradient_checkpointing;
  const std::string precision = config.precision;
  view.eps = [unet, extras = view.extras, precision](const Tensor& x_t, const Tensor& timesteps,
                                                     const Conditioning& cond) mutable {
    const MixedPrecision mixed(precision, x_t.device());
    return unet->forward(input_of(x_t, timesteps, cond, extras)).to(x_t.scalar_type());
  };
  view.bottleneck = [unet, extras = view.extras, precision](const Tensor& x_t,
                                                            const Tensor& timesteps,
                                                            const Conditioning& cond) mutable {
    const MixedPrecision mixed(precision, x_t.device());
    return unet->bottleneck(input_of(x_t, timesteps, cond, extras)).to(x_t.scalar_type());
  };
  view.trainable = std::move(trainable);
  view.adapter = adapter;
  view.unet = unet;
  return view;
}

View adapted(const UNet& unet, const AdapterOptions& options, uint64_t seed,
             const DistillConfig& config) {
  const auto adapter = std::make_shared<Adapter>(unet, options, seed);
  return view_of(unet, adapter, adapter->parameters(), config);
}

View full(const UNet& unet, const DistillConfig& config) {
  UNet copy = copy_of(unet);
  return view_of(copy, nullptr, parameters_of(*copy), config);
}

}  // namespace

Views make_views(UNet unet, const DistillConfig& config, uint64_t seed) {
  require_gradients(parameters_of(*unet), false);
  const AdapterOptions student{.rank = config.student_rank, .alpha = config.student_alpha};
  const AdapterOptions critic{.rank = config.critic_rank, .alpha = config.critic_alpha};
  Views views;
  views.teacher = view_of(unet, nullptr, {}, config);
  if (config.backbone == "shared") {
    views.student = adapted(unet, student, seed, config);
    views.critic = adapted(unet, critic, seed + 1, config);
  } else {
    views.student = config.student == "full" ? full(unet, config)
                                             : adapted(copy_of(unet), student, seed, config);
    views.critic = full(unet, config);
  }
  require_gradients(views.student.trainable, true);
  require_gradients(views.critic.trainable, true);
  return views;
}

}  // namespace fourstep
