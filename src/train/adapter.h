#pragma once
// A trainable low-rank change of a UNet: one view of the same frozen weights. DMD2's teacher,
// student and critic are three views of one network: no adapter, the student's, the critic's.

#include <memory>
#include <string>
#include <vector>

#include "layers/layers.h"
#include "nets/unet.h"

namespace fourstep {

struct AdapterOptions {
  int64_t rank = 64;
  double alpha = 8;  ///< the change is multiplied by alpha / rank
  /// Ends of the names of the layers that get one. The default is the list of the public DMD2 LoRA:
  /// on SDXL 788 modules.
  std::vector<std::string> targets = {"to_q",
                                      "to_k",
                                      "to_v",
                                      "to_out.0",
                                      "proj_in",
                                      "proj_out",
                                      "ff.net.0.proj",
                                      "ff.net.2",
                                      "conv1",
                                      "conv2",
                                      "conv_shortcut",
                                      "downsamplers.0.conv",
                                      "upsamplers.0.conv",
                                      "time_emb_proj"};
};

class Adapter {
 public:
  /// Factors on the device of the network's weights, fp32: down uniform in +-1/sqrt(fan in)
  /// (Kaiming with a = sqrt 5, as PEFT), up zero, so that the view begins equal to the network.
  /// seed: of the numbers.
  /// Throws Error when no layer matches.
  Adapter(UNet network, const AdapterOptions& options, uint64_t seed);

  /// For UNetExtras::adapters. They share the memory of parameters().
  std::shared_ptr<const Branches> branches() const { return branches_; }

  /// "down_blocks.0.resnets.0.conv1.lora_down.weight" and "...lora_up.weight"; share their memory.
  NamedTensors parameters() const;

  /// The file other programs read: "lora_unet_" + the module's name with '_' for '.', then
  /// ".lora_down.weight", ".lora_up.weight", ".alpha". Source: DMD2's extract_lora_module.py, the
  /// layout of the public LoRA. dtype: of all tensors. factors: parameters(), or an average of
  /// them.
  NamedTensors exported(const NamedTensors& factors, torch::Dtype dtype) const;

  size_t num_modules() const { return modules_.size(); }

 private:
  UNet network_;  ///< keeps alive what the branches are found by
  double alpha_;
  std::vector<std::pair<std::string, const nn::Module*>> modules_;
  std::shared_ptr<const Branches> branches_;
};

/// The branches of an adapter; null for null.
std::shared_ptr<const Branches> branches_of(const Adapter* adapter);

}  // namespace fourstep
