#pragma once
// Everything that decides the pixels of an image, in one plain struct. Command line, server, image
// metadata and sweeps all fill and print it through visit_fields(), so an option is declared once,
// here.

#include <nlohmann/json_fwd.hpp>

#include "guidance/guidance_options.h"
#include "request/settings.h"

namespace fourstep {

struct Request {
  FileSettings files;
  PromptSettings prompt;
  PictureSettings picture;
  SamplingSettings sampling;
  NoiseSettings noise;
  NetworkSettings networks;
  HiresSettings hires;
  GuidanceOptions guidance;

  bool operator==(const Request&) const = default;
};

/// The groups of visit_field_groups() below.
template <typename Settings, typename Visitor>
void visit_file_fields(Settings& s, Visitor&& visit) {
  using Info = FieldInfo;
  visit(
      Info{.name = "model",
           .help = "checkpoint: one file, or a diffusers folder; the shipped model when not given",
           .aliases = "m ckpt"},
      s.model);
  visit(Info{.name = "unet",
             .help = "UNet file to use instead of the checkpoint's (a distilled UNet alone)",
             .aliases = "diffusion_model"},
        s.unet);
  visit(Info{.name = "vae",
             .help = "VAE file to use instead of the checkpoint's (a tiny VAE too)",
             .aliases = "vae_path tae taesd"},
        s.vae);
  visit(Info{.name = "text_encoder",
             .help = "CLIP text encoder to use instead of the checkpoint's: a file "
                     "(clip_l.safetensors) or "
                     "a folder",
             .aliases = "clip_l"},
        s.text_encoder);
  visit(Info{.name = "text_encoder_2",
             .help = "the same for SDXL's second text encoder (clip_g.safetensors)",
             .aliases = "clip_g"},
        s.text_encoder_2);
  visit(Info{"lora",
             "LoRA as FILE[:WEIGHT[:TEXT_WEIGHT]], or its name (see lora-dir); WEIGHT by step: "
             "0@0,1@2; several: repeat, or separate by ';'; none: without the shipped one"},
        s.loras);
  visit(Info{"lora_partial", "use a LoRA even if some of its modules fit nothing"}, s.lora_partial);
  visit(
      Info{.name = "lora_dir",
           .help = "folder in which LoRAs are found by name, sub-folders too; several: repeat, or "
                   "separate by ';'",
           .aliases = "lora_model_dir"},
      s.lora_dir);
}

template <typename Settings, typename Visitor>
void visit_prompt_fields(Settings& s, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{.name = "prompt", .help = "what the image shows", .aliases = "p", .is_prose = true},
        s.text);
  visit(Info{.name = "negative_prompt",
             .help = "what it should not show (needs a CFG scale other than 1, or NAG)",
             .aliases = "n negative",
             .is_prose = true},
        s.negative);
  visit(Info{"emphasis",
             "what weights in prompts do: original, no_norm (both A1111), comfyui, ignore, or auto "
             "(by dialect)"},
        s.emphasis);
  visit(Info{"old_prompt_schedules",
             "read n in [a:b:n] as A1111 did before 1.6: a share below 1, else a step"},
        s.old_prompt_schedules);
  visit(
      Info{.name = "embedding_dir",
           .help = "folder with textual inversions that prompts may name; several as with lora-dir",
           .aliases = "embd_dir embeddings_dir"},
      s.embedding_dir);
  visit(Info{"wildcards", "folder with NAME.txt, a line of which replaces __NAME__ in prompts"},
        s.wildcards);
}

template <typename Settings, typename Visitor>
void visit_picture_fields(Settings& s, Visitor&& visit) {
  using Info = FieldInfo;
  visit(
      Info{"width", "image width, rounded to a multiple of 8; 0: the model's", "px", 0, 16384, "W"},
      s.width);
  visit(Info{"height", "image height, as width", "px", 0, 16384, "H"}, s.height);
  visit(Info{"images", "images of this prompt; image i has the seed plus i", "", 1, 10000,
             "b batch_count num_images_per_prompt"},
        s.images);
  visit(Info{"batch", "images sampled at once: faster, and more memory", "", 1, 64}, s.batch);
  visit(Info{.name = "seed",
             .help = "seed of the first image; random when it is not given or -1",
             .aliases = "s"},
        s.seed);
}

template <typename Settings, typename Visitor>
void visit_sampling_fields(Settings& s, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"steps", "sampling steps; by the model's kind when not given", "steps", 1, 1000,
             "num_inference_steps"},
        s.steps);
  visit(Info{.name = "sampler",
             .help = "auto, or a name that \"fourstep generate --help\" lists; names of other "
                     "programs too, such as \"DPM++ 2M Karras\"",
             .aliases = "sampling_method sampler_name"},
        s.sampler);
  visit(Info{.name = "schedule",
             .help = "auto, or a name that \"fourstep generate --help\" lists",
             .aliases = "scheduler schedule_type"},
        s.schedule);
  visit(Info{"dialect",
             "whose rules decide where programs differ (schedules, noise, starting state, empty "
             "negative): fourstep, comfyui, a1111 or diffusers"},
        s.dialect);
  visit(Info{"timesteps", "explicit falling timesteps instead of a schedule", "0..999", 0, 999},
        s.timesteps);
  visit(Info{"sigmas", "explicit falling noise levels instead of a schedule", "sigma", 0, 1e6},
        s.sigmas);
  visit(Info{"cfg_scale", "classifier-free guidance; 1: off, one network call a step", "", -100,
             100, "cfg guidance_scale"},
        s.cfg_scale);
  visit(Info{"eta", "share of fresh noise between steps; the sampler's own when not given", "", 0,
             10},
        s.eta);
  visit(Info{"s_noise", "factor on that noise", "", 0, 10}, s.s_noise);
  visit(Info{"s_churn", "noise added before the steps of samplers without noise of their own", "",
             0, 100},
        s.s_churn);
  visit(Info{"rho", "bend of the karras and polyexponential schedules; 7 and 1 when not given", "",
             0.01, 1000},
        s.rho);
}

template <typename Settings, typename Visitor>
void visit_noise_fields(Settings& s, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"noise",
             "torch: as ComfyUI and diffusers on CPU; nv: as A1111 and Forge on GPU; auto: nv with "
             "their dialect, else torch"},
        s.origin);
  visit(Info{"variation_seed", "seed whose noise is mixed in; image i has it plus i"},
        s.variation_seed);
  visit(
      Info{"variation_strength", "how much of it: 0 the seed's noise, 1 the variation's", "", 0, 1},
      s.variation_strength);
  visit(Info{"ensd", "A1111's eta noise seed delta: the steps' noise is that of seed plus this", "",
             -4294967295.0, 4294967295.0},
        s.ensd);
  visit(
      Info{"seed_width", "width at which the seed gave the picture to keep in the middle; 0: none",
           "px", 0, 16384},
      s.seed_width);
  visit(Info{"seed_height", "height of that picture", "px", 0, 16384}, s.seed_height);
}

template <typename Settings, typename Visitor>
void visit_network_fields(Settings& s, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"clip_skip", "further text-encoder layers to skip", "layers", 0, 31}, s.clip_skip);
  visit(Info{"empty_negative",
             "what an empty negative prompt becomes: zeros, encoded, or auto (SDXL zeros, SD 1.5 "
             "encoded)"},
        s.empty_negative);
  visit(Info{"prediction", "auto, epsilon or v_prediction: for files that do not say"},
        s.prediction);
  visit(Info{"zero_snr",
             "rescale the noise schedule to zero terminal SNR; by the file when not given"},
        s.zero_snr);
  visit(Info{"precision", "auto, bf16, fp16 or fp32: of UNet and text encoders"}, s.precision);
  visit(Info{"vae_precision", "auto, bf16, fp16 or fp32: of the VAE"}, s.vae_precision);
  visit(
      Info{"vae_tile", "decode in tiles of this size, for little memory; 0: whole", "px", 0, 16384},
      s.vae_tile);
}

template <typename Settings, typename Visitor>
void visit_hires_fields(Settings& s, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"scale", "a second pass at this many times the size; 1: off", "", 1, 8}, s.scale);
  visit(Info{"steps", "its steps; 0: as many as the first pass", "steps", 0, 1000}, s.steps);
  visit(Info{"denoise", "how far back it begins: near 0 keeps the picture, 1 starts anew", "", 0.01,
             1, "denoising_strength"},
        s.denoise);
  visit(Info{.name = "upscale",
             .help = "how the latent grows: nearest-exact, nearest, bilinear, "
                     "bilinear-antialiased, bicubic, bicubic-antialiased or area",
             .aliases = "upscaler"},
        s.upscale);
}

/// The fields in the order in which people read them. visitor_of(heading) gives the visitor of
/// those below a heading.
template <typename AnyRequest, typename VisitorOf>
void visit_field_groups(AnyRequest& r, VisitorOf&& visitor_of) {
  visit_file_fields(r.files, visitor_of("Model and LoRAs"));
  visit_prompt_fields(r.prompt, visitor_of("Prompts"));
  visit_picture_fields(r.picture, visitor_of("Picture"));
  visit_sampling_fields(r.sampling, visitor_of("Sampling"));
  visit_noise_fields(r.noise, visitor_of("Noise and variations"));
  visit_network_fields(r.networks, visitor_of("Networks"));
  visit_prefixed(
      "hires", [&](auto&& visit_own) { visit_hires_fields(r.hires, visit_own); },
      visitor_of("Second pass"));
  visit_guidance_groups(r.guidance, visitor_of);
}

/// Calls visit(FieldInfo, member&) for every field.
template <typename AnyRequest, typename Visitor>
void visit_fields(AnyRequest& r, Visitor&& visit) {
  visit_field_groups(
      r, [&](const char*) -> auto& { return visit; });
}

/// The request for image `index` of its images alone: with its own seed, or variation seed where
/// noise is mixed in.
Request single_image(Request request, int64_t index);

/// Throws InvalidRequest for combinations that cannot work: both timesteps and sigmas, lists that
/// do not fall, prompts of more than 64 KiB, guidance methods that exclude each other.
void validate(const Request& request);

/// The form in which images carry a request, a server takes it and tests compare it: every field
/// under its name; unset optionals as null, LoRAs as objects {file, unet_weight, text_weight},
/// weights by step as text.
nlohmann::ordered_json json_from_request(const Request& request);

/// What image metadata add to a request's own fields: hashes of the files that it names.
constexpr const char* kHashesMember = "hashes";

/// Fields that are absent or null keep their defaults. Throws InvalidRequest naming an unknown
/// field, a wrong type or a number out of range. kHashesMember is passed over.
Request request_from_json(const nlohmann::ordered_json& json);

}  // namespace fourstep
