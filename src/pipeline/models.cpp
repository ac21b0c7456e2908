#include "pipeline/models.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/memory.h"
#include "io/mapped_file.h"
#include "layers/layers.h"
#include "layers/packed_weights.h"
#include "lora/lora_keys.h"
#include "request/model_traits.h"
#include "request/resources.h"
#include "text/known_words.h"

namespace fourstep {

namespace {

double family_scaling_factor(Family family) { return family == Family::kSd15 ? 0.18215 : 0.13025; }

/// The LoRAs as one stack sees them: a weight of 0 leaves the other networks' part out.
std::vector<AppliedLora> part_of(std::vector<AppliedLora> loras, bool is_unet) {
  for (AppliedLora& lora : loras) (is_unet ? lora.text_weight : lora.unet_weight) = 0;
  return loras;
}

LoraTraits traits_of(const LoraUse& use, LoraMatch& match) {
  // A file whose modules are all of rank 0 has none.
  const LoraModule* first = match.matched.empty() ? nullptr : &match.matched.front().module;
  const size_t num_unet = match.num_matched[Component::kUnet];
  const size_t num_text = match.num_modules - num_unet;
  const LoraSigns signs{std::filesystem::path(use.file).filename().string(),
                        match.metadata,
                        num_unet,
                        num_text,
                        first ? rank_of(*first) : 0,
                        first ? factor_of(*first) : 1};
  return {signs.file_name, use.unet_weight, use.text_weight, looks_like_dmd2(signs), num_text > 0};
}

/// A parameter in use and the layer it belongs to.
struct LiveWeight {
  Tensor parameter;
  nn::Module* layer;
};

std::map<ParameterId, LiveWeight> live_weights(
    const std::vector<std::pair<Component, nn::Module*>>& networks) {
  std::map<ParameterId, LiveWeight> live;
  for (const auto& [component, network] : networks) {
    for (const auto& part : network->named_modules("", /*include_self=*/false)) {
      for (const auto& item : part.value()->named_parameters(/*recurse=*/false)) {
        live[{component, part.key() + "." + item.key()}] = {item.value(), part.value().get()};
      }
    }
  }
  return live;
}

}  // namespace

Models::Models(const FileSettings& files, Placement placement)
    : placement_(placement),
      parts_(open_model_parts(
          {files.model, files.unet, files.vae, files.text_encoder, files.text_encoder_2})) {
  check_whole(parts_);
}

std::vector<std::string> Models::choose_loras(const std::vector<LoraUse>& loras,
                                              bool is_partial_allowed) {
  std::optional<LoraTargets>
      targets;  // thousands of spellings: only where there is a LoRA to match
  if (!loras.empty()) targets.emplace(lora_targets_of(checkpoint()));
  std::vector<AppliedLora> applied;
  std::vector<std::string> lines;
  std::vector<LoraTraits> traits;
  for (const LoraUse& use : loras) {
    LoraMatch match = match_lora(open_lora(use.file), *targets);
    check_complete(match, is_partial_allowed);
    const std::string name = match.path.filename().string();
    lines.push_back(fmt::format("{}: {}", name, summary(match)));
    for (const std::string& note : match.notes) lines.push_back(fmt::format("{}: {}", name, note));
    traits.push_back(traits_of(use, match));
    applied.push_back({std::move(match), use.unet_weight.first(), use.text_weight});
  }
  lora_uses_ = loras;
  is_partial_allowed_ = is_partial_allowed;
  loras_ = std::move(applied);
  lora_traits_ = std::move(traits);
  lora_lines_ = std::move(lines);
  is_text_stale_ = is_unet_stale_ = true;
  return lora_lines_;
}

std::vector<std::string> Models::set_loras(const std::vector<LoraUse>& loras,
                                           bool is_partial_allowed, const Events& events) {
  std::vector<std::string> lines = choose_loras(loras, is_partial_allowed);
  if (text_stack_) text_encoders(events);
  if (unet_stack_) unet(events);
  return lines;
}

bool Models::has_loras(const std::vector<LoraUse>& loras, bool is_partial_allowed) const {
  return lora_uses_ == loras && is_partial_allowed_ == is_partial_allowed;
}

void Models::set_lora_step(int64_t step, int64_t num_steps, const Events& events) {
  for (size_t i = 0; i < loras_.size(); ++i) {
    loras_[i].unet_weight = weight_at(lora_uses_[i].unet_weight, step, num_steps);
  }
  is_unet_stale_ = true;
  if (unet_stack_) unet(events);
}

std::vector<InversionBundle> Models::inversion_bundles() const {
  std::vector<InversionBundle> bundles;
  for (const AppliedLora& lora : loras_) {
    if (!lora.match.embeddings.empty()) bundles.push_back({lora.match.path, lora.match.embeddings});
  }
  return bundles;
}

std::vector<FileLicence> Models::licences() const {
  std::vector<FileLicence> licences{{checkpoint().path, licence_of(checkpoint().metadata)}};
  if (parts_.paths.count(Component::kUnet)) {
    licences.push_back({parts_.path_of(Component::kUnet), licence_of(parts_.unet_metadata)});
  }
  for (const AppliedLora& lora : loras_) {
    licences.push_back({lora.match.path, licence_of(lora.match.metadata)});
  }
  return licences;
}

ModelTraits Models::traits() const {
  ModelTraits traits;
  const std::filesystem::path& path = parts_.path_of(Component::kUnet);
  traits.file_name = (path.has_filename() ? path : path.parent_path()).filename().string();
  const bool is_separate = parts_.paths.count(Component::kUnet) != 0;
  traits.merged_dmd2 =
      merged_dmd2_weight(is_separate ? parts_.unet_metadata : checkpoint().metadata);
  traits.known_words = entry_of(checkpoint().metadata, kKnownWordsKey);
  traits.loras = lora_traits_;
  traits.native_side = native_side_of(checkpoint());
  traits.zero_snr = checkpoint().zero_terminal_snr;
  const bool is_v = checkpoint().prediction == Prediction::kV;
  traits.output = is_v ? NetworkOutput::kV : NetworkOutput::kEps;
  traits.has_two_encoders = checkpoint().has(Component::kTextEncoder2);
  return traits;
}

std::string Models::what(Component component) const {
  return fmt::format("{}: {}", parts_.path_of(component).string(), to_string(component));
}

void Models::load_part(nn::Module& module, Component component, torch::Dtype dtype,
                       const Events& events) {
  const NamedTensors& weights = checkpoint().components.at(component);
  constexpr int64_t kReports = 20;  // enough for a bar, and for Ctrl-C to be quick
  const auto total = static_cast<int64_t>(weights.size());
  int64_t done = 0;
  const auto after_copy = [&](const Tensor& source) {
    drop_pages(source);
    ++done;
    if (done % std::max<int64_t>(total / kReports, 1) == 0 || done == total) {
      events.report({Stage::kLoad, done, total, 0, {}, to_string(component)});
    }
  };
  events.report({Stage::kLoad, 0, total, 0, {}, to_string(component)});
  const torch::NoGradGuard no_grad;
  load_weights(module, weights, {dtype, placement_.device, after_copy}, what(component));
}

Models::Networks Models::text_networks(ClipText first, ClipText second) {
  Networks networks{{Component::kTextEncoder, first.get()}};
  if (second) networks.emplace_back(Component::kTextEncoder2, second.get());
  return networks;
}

void Models::fuse(LoraStack& stack, const Networks& networks, const Events& events) {
  const bool is_unet = networks.front().first == Component::kUnet;
  // The text encoders run once: not worth it.
  const bool is_packed = is_unet && !placement_.is_trained;
  auto live = live_weights(networks);
  const WeightTarget target{placement_.dtype, placement_.device};
  const torch::NoGradGuard no_grad;
  constexpr int64_t kFusionsPerReturn = 50;
  int64_t num_fused = 0;
  stack.set(part_of(loras_, is_unet), [&](const ParameterId& id, const Tensor& pristine,
                                          const std::vector<WeightedModule>& terms) {
    events.report({Stage::kFuse, num_fused, 0});  // first: who cancels leaves this weight alone
    const Tensor fused = empty_weight(shape_of(pristine), target);
    fuse_into(fused, pristine, terms);
    drop_pages(pristine);
    LiveWeight& weight = live.at(id);
    weight.parameter.set_data(fused);
    if (is_packed) pack_weights(*weight.layer);  // one by one: never two copies of the network
    if (++num_fused % kFusionsPerReturn == 0) return_freed_memory();
  });
  if (is_packed) pack_weights(*networks.front().second);  // what no LoRA touches
  return_freed_memory();
}

ClipText Models::load_text_encoder(Component component, const Events& events) {
  const bool is_second = component == Component::kTextEncoder2;
  const ArchitectureHints& hints = checkpoint().hints;
  const std::string& activation = is_second ? hints.text_activation_2 : hints.text_activation;
  ClipConfig config =
      clip_config_from_shapes(shapes_of(checkpoint().components.at(component)),
                              is_second ? hints.text_heads_2 : hints.text_heads, what(component));
  // The encoder may have more rows than the vocabulary (added tokens), so its size does not tell the end.
  config.eos_id = tokenizer_->eos_id();
  if (tokenizer_->vocab_size() > config.vocab_size) {
    throw Error(
        "{}: {} token embeddings, but the vocabulary has {} tokens: they do not belong together",
        what(component), config.vocab_size, tokenizer_->vocab_size());
  }
  if (!activation.empty()) {
    config.activation =
        activation == "quick_gelu" ? ClipActivation::kQuickGelu : ClipActivation::kGelu;
  }
  ClipText model(config);
  load_part(*model, component, placement_.dtype, events);
  return model;
}

TextEncoders Models::text_encoders(const Events& events) {
  const bool has_two = checkpoint().has(Component::kTextEncoder2);
  if (!text_encoder_) {
    if (!tokenizer_) {
      const Vocabulary vocabulary = find_vocabulary(checkpoint());
      tokenizer_.emplace(vocabulary.merges_text, vocabulary.source);
    }
    // Members are set once all is loaded: an interrupted load leaves nothing half-made behind.
    ClipText first = load_text_encoder(Component::kTextEncoder, events), second(nullptr);
    if (has_two) second = load_text_encoder(Component::kTextEncoder2, events);
    std::map<Component, NamedTensors> pristine = checkpoint().components;
    pristine.erase(Component::kUnet);
    LoraStack loras(std::move(pristine));
    fuse(loras, text_networks(first, second), events);
    text_encoder_ = first;
    text_encoder_2_ = second;
    text_stack_ = std::move(loras);
    is_text_stale_ = false;
  }
  if (is_text_stale_) fuse(*text_stack_, text_networks(text_encoder_, text_encoder_2_), events);
  is_text_stale_ = false;  // not before the last weight has them
  if (!has_two) return sd15_text_encoders(*tokenizer_, *text_encoder_);
  return sdxl_text_encoders(*tokenizer_, *text_encoder_, *tokenizer_, *text_encoder_2_);
}

void Models::free_text_encoders() {
  text_encoder_ = ClipText(nullptr);
  text_encoder_2_ = ClipText(nullptr);
  text_stack_.reset();
  return_freed_memory();
}

UNet Models::unet(const Events& events) {
  if (!unet_) {
    const NamedTensors& weights = checkpoint().components.at(Component::kUnet);
    UNet unet(unet_config_from_shapes(shapes_of(weights), checkpoint().hints.unet_heads,
                                      what(Component::kUnet)));
    load_part(*unet, Component::kUnet, placement_.dtype, events);
    LoraStack loras({{Component::kUnet, weights}});
    fuse(loras, {{Component::kUnet, unet.get()}}, events);
    unet_ = unet;
    unet_stack_ = std::move(loras);
    is_unet_stale_ = false;
  }
  if (is_unet_stale_) fuse(*unet_stack_, {{Component::kUnet, unet_.get()}}, events);
  is_unet_stale_ = false;  // not before the last weight has them
  return unet_;
}

void Models::load_codec(const Events& events, torch::Dtype dtype) {
  const std::string name = what(Component::kVae);
  codec_ = ImageCodec();  // first: two of them need not fit into memory
  ImageCodec codec;
  if (is_tiny_vae(vae_weights())) {
    codec.tiny_vae = TinyVae(tiny_vae_config_from_shapes(shapes_of(vae_weights()), name));
    load_part(*codec.tiny_vae, Component::kVae, dtype, events);
    codec_ = codec;
    return;
  }
  codec.vae = Vae(vae_config_from_shapes(shapes_of(vae_weights()), name));
  const double factor = checkpoint().hints.vae_scaling_factor;
  codec.scaling_factor = factor != 0 ? factor : family_scaling_factor(checkpoint().family);
  load_part(*codec.vae, Component::kVae, dtype, events);
  pack_weights(*codec.vae);
  codec_ = codec;
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

uint64_t Models::loaded_bytes() const {
  uint64_t bytes = 0;
  const auto add = [&](const auto& holder) {
    if (!holder) return;
    for (const Tensor& weight : holder->parameters())
      bytes += weight.numel() * weight.element_size();
  };
  add(text_encoder_);
  add(text_encoder_2_);
  add(unet_);
  add(codec_.vae);
  add(codec_.tiny_vae);
  return bytes;
}

uint64_t Models::whole_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [component, weights] : checkpoint().components) {
    const bool is_vae = component == Component::kVae;
    const auto size = c10::elementSize(is_vae ? placement_.vae_dtype : placement_.dtype);
    for (const auto& [name, weight] : weights) bytes += weight.numel() * size;
  }
  return bytes;
}

}  // namespace fourstep
