#include "pipeline/models.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "io/mapped_file.h"
#include "io/single_file.h"
#include "layers/layers.h"
#include "layers/packed_weights.h"
#include "lora/lora_keys.h"
#include "pipeline/resources.h"

namespace fourstep {

namespace {

double family_scaling_factor(Family family) { return family == Family::kSd15 ? 0.18215 : 0.13025; }

bool is_tiny_vae(const NamedTensors& weights) {
  return weights.count("decoder.layers.0.weight") != 0;
}

std::map<Component, NamedShapes> shapes_of_components(const Checkpoint& checkpoint) {
  std::map<Component, NamedShapes> shapes;
  for (const auto& [component, weights] : checkpoint.components) {
    shapes[component] = shapes_of(weights);
  }
  return shapes;
}

/// The LoRAs as one stack sees them: a weight of 0 leaves the other networks' part out.
std::vector<AppliedLora> part_of(std::vector<AppliedLora> loras, bool is_unet) {
  for (AppliedLora& lora : loras) (is_unet ? lora.text_weight : lora.unet_weight) = 0;
  return loras;
}

std::map<ParameterId, Tensor> live_parameters(
    const std::vector<std::pair<Component, nn::Module*>>& networks) {
  std::map<ParameterId, Tensor> live;
  for (const auto& [component, network] : networks) {
    for (const auto& item : network->named_parameters())
      live[{component, item.key()}] = item.value();
  }
  return live;
}

}  // namespace

Models::Models(const Request& request, Placement placement)
    : placement_(placement), checkpoint_(open_checkpoint(request.model)) {
  vae_hints_ = checkpoint_.hints;
  if (!request.vae.empty()) {
    vae_weights_ = open_vae(request.vae);
    vae_hints_ = open_vae_hints(request.vae);
  } else if (checkpoint_.has(Component::kVae)) {
    vae_weights_ = checkpoint_.components.at(Component::kVae);
  }
  check_components();
}

void Models::check_components() const {
  for (const Component component : components_of(checkpoint_.family)) {
    const bool is_there =
        component == Component::kVae ? !vae_weights_.empty() : checkpoint_.has(component);
    if (is_there) continue;
    throw Error("{}: has no {}; {}", checkpoint_.path.string(), to_string(component),
                component == Component::kVae ? "name a VAE file with --vae"
                                             : "use a complete checkpoint of this model family");
  }
}

std::vector<std::string> Models::set_loras(const std::vector<LoraUse>& loras,
                                           bool is_partial_allowed) {
  if (loras == lora_uses_ && loras_.size() == loras.size()) return {};
  const LoraTargets targets(shapes_of_components(checkpoint_),
                            ldm_unet_names(shapes_of(checkpoint_.components.at(Component::kUnet))));
  std::vector<AppliedLora> applied;
  std::vector<std::string> lines;
  bool has_dmd2 = false;
  for (const LoraUse& use : loras) {
    LoraMatch match = match_lora(open_lora(use.file), targets);
    check_complete(match, is_partial_allowed);
    lines.push_back(fmt::format("{}: {}", match.path.filename().string(), summary(match)));
    const LoraModule& first = match.matched.front().module;
    const size_t num_unet = match.num_matched[Component::kUnet];
    has_dmd2 = has_dmd2 || (use.unet_weight > 0 &&
                            looks_like_dmd2(use.file, num_unet, match.num_modules - num_unet,
                                            rank_of(first), factor_of(first)));
    applied.push_back({std::move(match), use.unet_weight, use.text_weight});
  }
  lora_uses_ = loras;
  loras_ = std::move(applied);
  has_dmd2_lora_ = has_dmd2;
  if (text_stack_) wear(text_stack_, /*is_unet=*/false);
  if (unet_stack_) wear(unet_stack_, /*is_unet=*/true);
  return lines;
}

ModelTraits Models::traits() const {
  ModelTraits traits;
  traits.file_name = checkpoint_.path.filename().string();
  for (const auto& [key, text] : checkpoint_.metadata) {
    if (key.rfind("modelspec.", 0) == 0 || key.rfind("sd_merge", 0) == 0) {
      traits.metadata_texts.push_back(text);
    }
  }
  traits.has_dmd2_lora = has_dmd2_lora_;
  traits.native_side = checkpoint_.family == Family::kSd15 ? 512 : 1024;
  return traits;
}

void Models::load_part(nn::Module& module, Component component, torch::Dtype dtype,
                       const Events& events) {
  const NamedTensors& weights =
      component == Component::kVae ? vae_weights_ : checkpoint_.components.at(component);
  constexpr int64_t kReports = 20;  // enough for a bar, and for Ctrl-C to be quick
  const auto total = static_cast<int64_t>(weights.size());
  int64_t done = 0;
  const auto after_copy = [&](const Tensor& source) {
    drop_pages(source);
    if (++done % std::max<int64_t>(total / kReports, 1) == 0 || done == total) {
      events.report({Stage::kLoad, done, total});
    }
  };
  events.report({Stage::kLoad, 0, total});
  const torch::NoGradGuard no_grad;
  load_weights(module, weights, {dtype, placement_.device, after_copy},
               fmt::format("{}: {}", checkpoint_.path.string(), to_string(component)));
}

void Models::wear(std::optional<LoraStack>& stack, bool is_unet) {
  std::vector<std::pair<Component, nn::Module*>> networks;
  if (is_unet) {
    networks = {{Component::kUnet, unet_.get()}};
  } else {
    networks = {{Component::kTextEncoder, text_encoder_.get()}};
    if (text_encoder_2_) networks.emplace_back(Component::kTextEncoder2, text_encoder_2_.get());
  }
  auto live = live_parameters(networks);
  const WeightTarget target{placement_.dtype, placement_.device};
  const torch::NoGradGuard no_grad;
  stack->set(part_of(loras_, is_unet), [&](const ParameterId& id, const Tensor& pristine,
                                           const std::vector<WeightedModule>& terms) {
    const Tensor fused = empty_weight(shape_of(pristine), target);
    fuse_into(fused, pristine, terms);
    drop_pages(pristine);
    live.at(id).set_data(fused);
  });
  if (is_unet) pack_weights(*unet_);  // the text encoders run once: not worth the reordering
}

void Models::load_text_encoder(ClipText& model, Component component, const Events& events) {
  const bool is_second = component == Component::kTextEncoder2;
  const ArchitectureHints& hints = checkpoint_.hints;
  const std::string& activation = is_second ? hints.text_activation_2 : hints.text_activation;
  ClipConfig config = clip_config_from_shapes(
      shapes_of(checkpoint_.components.at(component)),
      is_second ? hints.text_heads_2 : hints.text_heads,
      fmt::format("{}: {}", checkpoint_.path.string(), to_string(component)));
  if (!activation.empty()) {
    config.activation =
        activation == "quick_gelu" ? ClipActivation::kQuickGelu : ClipActivation::kGelu;
  }
  model = ClipText(config);
  load_part(*model, component, placement_.dtype, events);
}

TextEncoders Models::text_encoders(const Events& events) {
  const bool has_two = checkpoint_.has(Component::kTextEncoder2);
  if (!text_encoder_) {
    if (!tokenizer_) {
      const Vocabulary vocabulary = find_vocabulary(checkpoint_);
      tokenizer_.emplace(vocabulary.merges_text, vocabulary.source);
    }
    load_text_encoder(text_encoder_, Component::kTextEncoder, events);
    if (has_two) load_text_encoder(text_encoder_2_, Component::kTextEncoder2, events);
    std::map<Component, NamedTensors> pristine = checkpoint_.components;
    pristine.erase(Component::kUnet);
    text_stack_.emplace(std::move(pristine));
    wear(text_stack_, /*is_unet=*/false);
  }
  if (!has_two) return sd15_text_encoders(*tokenizer_, *text_encoder_);
  return sdxl_text_encoders(*tokenizer_, *text_encoder_, *tokenizer_, *text_encoder_2_);
}

void Models::free_text_encoders() {
  text_encoder_ = ClipText(nullptr);
  text_encoder_2_ = ClipText(nullptr);
  text_stack_.reset();
}

UNet Models::unet(const Events& events) {
  if (!unet_) {
    const NamedTensors& weights = checkpoint_.components.at(Component::kUnet);
    unet_ = UNet(unet_config_from_shapes(shapes_of(weights), checkpoint_.hints.unet_heads,
                                         checkpoint_.path.string() + ": unet"));
    load_part(*unet_, Component::kUnet, placement_.dtype, events);
    unet_stack_.emplace(std::map<Component, NamedTensors>{{Component::kUnet, weights}});
    wear(unet_stack_, /*is_unet=*/true);
  }
  return unet_;
}

void Models::load_codec(const Events& events, torch::Dtype dtype) {
  const std::string what = checkpoint_.path.string() + ": vae";
  codec_ = ImageCodec();
  if (is_tiny_vae(vae_weights_)) {
    codec_.tiny_vae = TinyVae(tiny_vae_config_from_shapes(shapes_of(vae_weights_), what));
    load_part(*codec_.tiny_vae, Component::kVae, dtype, events);
    return;
  }
  codec_.vae = Vae(vae_config_from_shapes(shapes_of(vae_weights_), what));
  codec_.scaling_factor = vae_hints_.vae_scaling_factor != 0
                              ? vae_hints_.vae_scaling_factor
                              : family_scaling_factor(checkpoint_.family);
  load_part(*codec_.vae, Component::kVae, dtype, events);
  pack_weights(*codec_.vae);
}

const ImageCodec& Models::image_codec(const Events& events) {
  if (!codec_.vae && !codec_.tiny_vae) load_codec(events, placement_.vae_dtype);
  return codec_;
}

const ImageCodec& Models::image_codec_in_fp32(const Events& events) {
  placement_.vae_dtype = torch::kFloat32;
  load_codec(events, torch::kFloat32);
  return codec_;
}

NoiseSchedule Models::noise_schedule(const Request& request) const {
  const NoiseSchedule schedule = make_sdxl_noise_schedule();
  const bool is_zero_snr = request.zero_snr.value_or(checkpoint_.zero_terminal_snr);
  return is_zero_snr ? with_zero_terminal_snr(schedule) : schedule;
}

NetworkOutput Models::network_output(const Request& request) const {
  if (request.prediction == "epsilon") return NetworkOutput::kEps;
  if (request.prediction == "v_prediction") return NetworkOutput::kV;
  return checkpoint_.prediction == Prediction::kV ? NetworkOutput::kV : NetworkOutput::kEps;
}

}  // namespace fourstep
