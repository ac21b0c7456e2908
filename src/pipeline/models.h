#pragma once
// The networks of one model in memory, each loaded when first used and freed when no longer needed: the
// mapped file stays open as the pristine copy, so loading again is one cast.

#include <optional>
#include <string>
#include <vector>

#include "base/events.h"
#include "io/model_parts.h"
#include "lora/lora_match.h"
#include "nets/tiny_vae.h"
#include "nets/unet.h"
#include "nets/vae.h"
#include "pipeline/textual_inversions.h"
#include "request/file_tags.h"
#include "request/resolve.h"
#include "sampling/parameterization.h"
#include "text/conditioning.h"

namespace fourstep {

/// Where and in which number types the networks compute.
struct Placement {
  torch::Device device = torch::kCPU;
  torch::Dtype dtype = torch::kFloat32;  ///< UNet and text encoders
  torch::Dtype vae_dtype = torch::kFloat32;
  bool is_trained = false;  ///< gradients pass through the UNet: no weights in inference-only order
};

/// The image side of a model: the KL autoencoder, or a tiny one.
struct ImageCodec {
  Vae vae{nullptr};  ///< empty when tiny_vae is used
  TinyVae tiny_vae{nullptr};
  double scaling_factor = 1;  ///< latent of the UNet = latent of the VAE times this
};

/// Not thread-safe: one worker uses it at a time.
class Models {
 public:
  /// Maps the checkpoint (and the separate UNet, VAE and text encoders) that `files` names and checks that nothing is
  /// missing; reads no weights. Throws Error naming the file and what is wrong or missing.
  Models(const FileSettings& files, Placement placement);

  const Checkpoint& checkpoint() const { return parts_.checkpoint; }
  const Placement& placement() const { return placement_; }

  /// Files and weights that the networks have from now on: text_encoders() and unet() fuse them where they change.
  /// Returns a line per file, "NAME: 788/788 modules", and one for each of its notes.
  /// Throws Error when a LoRA does not fit (see check_complete); the networks keep what they had.
  std::vector<std::string> choose_loras(const std::vector<LoraUse>& loras, bool is_partial_allowed);

  /// choose_loras(), and fuses them into the networks that are loaded. After an exception while fusing (Cancelled, no
  /// memory) some weights have them and some have not, until text_encoders() and unet() repair the rest.
  std::vector<std::string> set_loras(const std::vector<LoraUse>& loras, bool is_partial_allowed,
                                     const Events& events);

  /// Gives the UNet's LoRAs their weights of a sampling step (weight_at()) and re-fuses what they change, until the
  /// next call or set_loras(), which begins with step 0. After an exception the next call repairs what it left.
  void set_lora_step(int64_t step, int64_t num_steps, const Events& events);

  /// What choose_loras() last returned.
  const std::vector<std::string>& lora_lines() const { return lora_lines_; }

  /// What choose_loras() was last given.
  const std::vector<LoraUse>& loras() const { return lora_uses_; }

  /// Whether that was exactly this, so that calling it again would change nothing.
  bool has_loras(const std::vector<LoraUse>& loras, bool is_partial_allowed) const;

  /// The embeddings bundled in the LoRAs of set_loras(), whatever their weights: a prompt that wants none of them
  /// leaves the LoRA out, as in A1111.
  std::vector<InversionBundle> inversion_bundles() const;

  /// Those that the checkpoint, a separate UNet and the LoRAs in use state.
  std::vector<FileLicence> licences() const;

  /// What resolve() needs to know; after set_loras(). Of a separate UNet, what is merged into it counts.
  ModelTraits traits() const;

  /// Bytes of the weights of the networks that are loaded, and of all of them at once in this precision.
  uint64_t loaded_bytes() const;
  uint64_t whole_bytes() const;

  /// The networks with their LoRAs, loaded and fused where they are not.
  TextEncoders text_encoders(const Events& events);
  void free_text_encoders();
  UNet unet(const Events& events);
  const ImageCodec& image_codec(const Events& events);

  /// As in the file, by diffusers names.
  const NamedTensors& vae_weights() const { return checkpoint().components.at(Component::kVae); }

  /// The file that the VAE comes from, for messages.
  const std::filesystem::path& vae_path() const { return parts_.path_of(Component::kVae); }

  /// Loads the VAE again in fp32: after its half-precision result was not finite.
  const ImageCodec& image_codec_in_fp32(const Events& events);

 private:
  void load_codec(const Events& events, torch::Dtype dtype);
  void load_part(nn::Module& module, Component component, torch::Dtype dtype, const Events& events);
  ClipText load_text_encoder(Component component, const Events& events);
  std::string what(Component component) const;  ///< file and part, for messages
  /// The networks that one stack of LoRAs is for: the UNet alone, or the text encoders.
  using Networks = std::vector<std::pair<Component, nn::Module*>>;
  static Networks text_networks(ClipText first, ClipText second);
  void fuse(LoraStack& stack, const Networks& networks, const Events& events);

  Placement placement_;
  ModelParts parts_;
  std::vector<LoraUse> lora_uses_;
  std::vector<std::string> lora_lines_;
  bool is_partial_allowed_ = false;  ///< with these
  bool is_text_stale_ = false,
       is_unet_stale_ = false;  ///< loaded, and not all of loras_ is in their weights
  std::vector<AppliedLora> loras_;
  std::vector<LoraTraits> lora_traits_;  ///< of the same

  std::optional<Tokenizer> tokenizer_;
  ClipText text_encoder_{nullptr}, text_encoder_2_{nullptr};
  UNet unet_{nullptr};
  ImageCodec codec_;
  std::optional<LoraStack> text_stack_, unet_stack_;  ///< of the loaded networks
};

}  // namespace fourstep
