#pragma once
// Everything that decides the pixels of an image, in one plain struct. Command line, server, image metadata
// and sweeps all fill and print it through visit_fields(), so an option is declared once, here.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/step_weights.h"
#include "guidance/guidance_options.h"

namespace fourstep {

/// A LoRA file and how strongly it acts; any finite weight.
struct LoraUse {
  std::string file;
  StepWeights unet_weight = {};
  double text_weight = 1;  ///< one number: text encoders run once, before the steps

  bool operator==(const LoraUse&) const = default;
};

struct Request {
  std::string model;
  std::string unet;
  std::string vae;
  std::string text_encoder;
  std::string text_encoder_2;
  std::vector<LoraUse> loras;
  bool lora_partial = false;
  std::vector<std::string> lora_dir;
  std::string prompt;
  std::string negative_prompt;
  std::string emphasis = "auto";
  bool old_prompt_schedules = false;
  std::vector<std::string> embedding_dir;
  std::string wildcards;
  int64_t width = 0;
  int64_t height = 0;
  int64_t images = 1;
  std::optional<uint64_t> seed;
  std::optional<int64_t> steps;
  std::string sampler = "auto";
  std::string schedule = "auto";
  std::string dialect = "fourstep";
  std::vector<double> timesteps;
  std::vector<double> sigmas;
  std::optional<double> cfg_scale;
  std::optional<double> eta;
  double s_noise = 1;
  double s_churn = 0;
  std::optional<double> rho;
  int64_t clip_skip = 0;
  std::string noise = "auto";
  uint64_t variation_seed = 0;
  double variation_strength = 0;
  int64_t ensd = 0;
  int64_t seed_width = 0;
  int64_t seed_height = 0;
  std::string empty_negative = "auto";
  std::string prediction = "auto";
  std::optional<bool> zero_snr;
  std::string precision = "auto";
  std::string vae_precision = "auto";
  int64_t vae_tile = 0;
  GuidanceOptions guidance;

  bool operator==(const Request&) const = default;
};

/// The groups of visit_field_groups() below.
template <typename AnyRequest, typename Visitor>
void visit_file_fields(AnyRequest& r, Visitor&& visit) {
  using Info = FieldInfo;
  visit(
      Info{.name = "model",
           .help = "checkpoint: one file, or a diffusers folder; the shipped model when not given",
           .aliases = "m ckpt"},
      r.model);
  visit(Info{.name = "unet",
             .help = "UNet file to use instead of the checkpoint's (a distilled UNet alone)",
             .aliases = "diffusion_model"},
        r.unet);
  visit(Info{.name = "vae",
             .help = "VAE file to use instead of the checkpoint's (a tiny VAE too)",
             .aliases = "vae_path tae taesd"},
        r.vae);
  visit(Info{.name = "text_encoder",
             .help = "CLIP text encoder to use instead of the checkpoint's: a file "
                     "(clip_l.safetensors) or "
                     "a folder",
             .aliases = "clip_l"},
        r.text_encoder);
  visit(Info{.name = "text_encoder_2",
             .help = "the same for SDXL's second text encoder (clip_g.safetensors)",
             .aliases = "clip_g"},
        r.text_encoder_2);
  visit(Info{"lora",
             "LoRA as FILE[:WEIGHT[:TEXT_WEIGHT]], or its name (see lora-dir); WEIGHT by step: "
             "0@0,1@2; several: repeat, or separate by ';'; none: without the shipped one"},
        r.loras);
  visit(Info{"lora_partial", "use a LoRA even if some of its modules fit nothing"}, r.lora_partial);
  visit(
      Info{.name = "lora_dir",
           .help = "folder in which LoRAs are found by name, sub-folders too; several: repeat, or "
                   "separate by ';'",
           .aliases = "lora_model_dir"},
      r.lora_dir);
}

template <typename AnyRequest, typename Visitor>
void visit_prompt_fields(AnyRequest& r, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{.name = "prompt", .help = "what the image shows", .aliases = "p", .is_prose = true},
        r.prompt);
  visit(Info{.name = "negative_prompt",
             .help = "what it should not show (needs a CFG scale other than 1, or NAG)",
             .aliases = "n negative",
             .is_prose = true},
        r.negative_prompt);
  visit(Info{"emphasis",
             "what weights in prompts do: original, no_norm (both A1111), comfyui, ignore, or auto "
             "(by dialect)"},
        r.emphasis);
  visit(Info{"old_prompt_schedules",
             "read n in [a:b:n] as A1111 did before 1.6: a share below 1, else a step"},
        r.old_prompt_schedules);
  visit(
      Info{.name = "embedding_dir",
           .help = "folder with textual inversions that prompts may name; several as with lora-dir",
           .aliases = "embd_dir embeddings_dir"},
      r.embedding_dir);
  visit(Info{"wildcards", "folder with NAME.txt, a line of which replaces __NAME__ in prompts"},
        r.wildcards);
}

template <typename AnyRequest, typename Visitor>
void visit_picture_fields(AnyRequest& r, Visitor&& visit) {
  using Info = FieldInfo;
  visit(
      Info{"width", "image width, rounded to a multiple of 8; 0: the model's", "px", 0, 16384, "W"},
      r.width);
  visit(Info{"height", "image height, as width", "px", 0, 16384, "H"}, r.height);
  visit(Info{"images", "images of this prompt; image i has the seed plus i", "", 1, 10000,
             "b batch_count num_images_per_prompt"},
        r.images);
  visit(Info{.name = "seed",
             .help = "seed of the first image; random when it is not given or -1",
             .aliases = "s"},
        r.seed);
}

template <typename AnyRequest, typename Visitor>
void visit_sampling_fields(AnyRequest& r, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"steps", "sampling steps; by the model's kind when not given", "steps", 1, 1000,
             "num_inference_steps"},
        r.steps);
  visit(Info{.name = "sampler",
             .help = "auto, or a name that \"fourstep generate --help\" lists; names of other "
                     "programs too, such as \"DPM++ 2M Karras\"",
             .aliases = "sampling_method sampler_name"},
        r.sampler);
  visit(Info{.name = "schedule",
             .help = "auto, or a name that \"fourstep generate --help\" lists",
             .aliases = "scheduler schedule_type"},
        r.schedule);
  visit(Info{"dialect",
             "whose rules decide where programs differ (schedules, noise, starting state, empty "
             "negative): fourstep, comfyui, a1111 or diffusers"},
        r.dialect);
  visit(Info{"timesteps", "explicit falling timesteps instead of a schedule", "0..999", 0, 999},
        r.timesteps);
  visit(Info{"sigmas", "explicit falling noise levels instead of a schedule", "sigma", 0, 1e6},
        r.sigmas);
  visit(Info{"cfg_scale", "classifier-free guidance; 1: off, one network call a step", "", -100,
             100, "cfg guidance_scale"},
        r.cfg_scale);
  visit(Info{"eta", "share of fresh noise between steps; the sampler's own when not given", "", 0,
             10},
        r.eta);
  visit(Info{"s_noise", "factor on that noise", "", 0, 10}, r.s_noise);
  visit(Info{"s_churn", "noise added before the steps of samplers without noise of their own", "",
             0, 100},
        r.s_churn);
  visit(Info{"rho", "bend of the karras and polyexponential schedules; 7 and 1 when not given", "",
             0.01, 1000},
        r.rho);
}

template <typename AnyRequest, typename Visitor>
void visit_noise_fields(AnyRequest& r, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"noise",
             "torch: as ComfyUI and diffusers on CPU; nv: as A1111 and Forge on GPU; auto: nv with "
             "their dialect, else torch"},
        r.noise);
  visit(Info{"variation_seed", "seed whose noise is mixed in; image i has it plus i"},
        r.variation_seed);
  visit(
      Info{"variation_strength", "how much of it: 0 the seed's noise, 1 the variation's", "", 0, 1},
      r.variation_strength);
  visit(Info{"ensd", "A1111's eta noise seed delta: the steps' noise is that of seed plus this", "",
             -4294967295.0, 4294967295.0},
        r.ensd);
  visit(
      Info{"seed_width", "width at which the seed gave the picture to keep in the middle; 0: none",
           "px", 0, 16384},
      r.seed_width);
  visit(Info{"seed_height", "height of that picture", "px", 0, 16384}, r.seed_height);
}

template <typename AnyRequest, typename Visitor>
void visit_network_fields(AnyRequest& r, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"clip_skip", "further text-encoder layers to skip", "layers", 0, 31}, r.clip_skip);
  visit(Info{"empty_negative",
             "what an empty negative prompt becomes: zeros, encoded, or auto (SDXL zeros, SD 1.5 "
             "encoded)"},
        r.empty_negative);
  visit(Info{"prediction", "auto, epsilon or v_prediction: for files that do not say"},
        r.prediction);
  visit(Info{"zero_snr",
             "rescale the noise schedule to zero terminal SNR; by the file when not given"},
        r.zero_snr);
  visit(Info{"precision", "auto, bf16, fp16 or fp32: of UNet and text encoders"}, r.precision);
  visit(Info{"vae_precision", "auto, bf16, fp16 or fp32: of the VAE"}, r.vae_precision);
  visit(
      Info{"vae_tile", "decode in tiles of this size, for little memory; 0: whole", "px", 0, 16384},
      r.vae_tile);
}

/// The fields in the order in which people read them. visitor_of(heading) gives the visitor of those below a heading.
template <typename AnyRequest, typename VisitorOf>
void visit_field_groups(AnyRequest& r, VisitorOf&& visitor_of) {
  visit_file_fields(r, visitor_of("Model and LoRAs"));
  visit_prompt_fields(r, visitor_of("Prompts"));
  visit_picture_fields(r, visitor_of("Picture"));
  visit_sampling_fields(r, visitor_of("Sampling"));
  visit_noise_fields(r, visitor_of("Noise and variations"));
  visit_network_fields(r, visitor_of("Networks"));
  visit_guidance_groups(r.guidance, visitor_of);
}

/// Calls visit(FieldInfo, member&) for every field.
template <typename AnyRequest, typename Visitor>
void visit_fields(AnyRequest& r, Visitor&& visit) {
  visit_field_groups(
      r, [&](const char*) -> auto& { return visit; });
}

/// "FILE", "FILE:0.7", "FILE:0.7:0.5", "FILE:0@0,1@2"; several separated by ';'. One weight is for the text encoders
/// too, as it is at step 0.
/// Throws InvalidRequest when a file is named without a name, for weights that step_weights_from_text() refuses, and
/// for a TEXT_WEIGHT that is not one number.
void value_from_text(const FieldInfo& field, std::string_view text, std::vector<LoraUse>& value);
std::string text_from_value(const std::vector<LoraUse>& value);

/// The UNet's weight, for work without steps. Throws InvalidRequest naming the file when it changes over them.
double single_weight(const LoraUse& use);

/// The request for image `index` of its images alone: with its own seed, or variation seed where noise is mixed in.
Request single_image(Request request, int64_t index);

/// Throws InvalidRequest for combinations that cannot work: a missing model, both timesteps and sigmas,
/// lists that do not fall, prompts of more than 64 KiB, unknown words in noise, empty_negative, emphasis,
/// prediction or a precision.
void validate(const Request& request);

}  // namespace fourstep
