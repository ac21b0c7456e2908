#pragma once
// The three networks of DMD2: teacher, student, critic. On a shared backbone they are one frozen network under
// different adapters; else each has its own weights.

#include <functional>
#include <memory>

#include "distill/config.h"
#include "nets/unet.h"
#include "text/conditioning.h"
#include "train/adapter.h"
#include "train/noise_levels.h"

namespace fourstep {

/// x_t: [B,C,h,w] fp32; timesteps: [B] int64.
using ConditionedFunction =
    std::function<Tensor(const Tensor& x_t, const Tensor& timesteps, const Conditioning& cond)>;

/// A network as one role sees it. Any function can play a role; make_views() gives it a UNet.
struct View {
  ConditionedFunction eps;  ///< predicted noise, as x_t
  ConditionedFunction
      bottleneck;  ///< what the discriminator looks at, [B,C',h',w']; empty without GAN
  NamedTensors trainable = {};  ///< empty for the teacher
  std::shared_ptr<Adapter>
      adapter;         ///< the LoRA of `trainable`; null where all weights are trained
  UNet unet{nullptr};  ///< behind both functions; may be empty
  UNetExtras extras =
      {};  ///< what goes with each of their calls: the adapter, gradient checkpointing
};

struct Views {
  View teacher, student, critic;
};

/// unet: the teacher, fp32 or a half type; it becomes the frozen backbone. Student and critic begin equal to it.
Views make_views(UNet unet, const DistillConfig& config, uint64_t seed);

}  // namespace fourstep
