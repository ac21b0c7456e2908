"""As compare_generate.py, for models and settings beside plain SDXL: SD 1.5, v-prediction with and without zero
terminal SNR, skipped text encoder layers.

    python tests/oracle/compare_variants.py build/release/bin/fourstep

Prompts of more than 77 tokens are not comparable: diffusers cuts them, fourstep encodes them in chunks.
"""

import copy
import pathlib
import sys
import tempfile

import torch
from diffusers import AutoencoderKL, LCMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel

import tiny_sdxl
from comparison import NEGATIVE, Comparison, diffusers_latents, fourstep, start_noise

TIMESTEPS = [999, 749, 499, 249]
LCM = ("--sampler", "lcm", "--timesteps", ",".join(map(str, TIMESTEPS)), "--cfg-scale", 1)
# diffusers ends the rescaled betas at alpha 2^-24, fourstep at ComfyUI's 4.9e-8: the first noise levels are 4096
# and 4518, which the network's input barely shows.
ZERO_SNR_TOLERANCE = 1e-3


def make_sd15(work):
    """Four levels, attention projections as convolutions, no size condition, the text encoder's final norm."""
    torch.manual_seed(2)
    unet = UNet2DConditionModel(sample_size=16, block_out_channels=[64, 64, 128, 128], attention_head_dim=2,
                                cross_attention_dim=64)
    pipeline = StableDiffusionPipeline(
        unet=unet, vae=AutoencoderKL(**dict(tiny_sdxl.VAE, scaling_factor=0.18215)),
        text_encoder=CLIPTextModel(tiny_sdxl.text_config(64, hidden_act="quick_gelu")),
        tokenizer=tiny_sdxl.tokenizer(work / "tokenizer15", "<|endoftext|>"), scheduler=tiny_sdxl.scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    # Its clip_skip still asks for transformers 4's inner module, which is the model itself now.
    object.__setattr__(pipeline.text_encoder, "text_model", pipeline.text_encoder)
    return tiny_sdxl.prepared(pipeline, unet, pipeline.vae, pipeline.text_encoder)


def lcm_latents(pipeline, **options):
    pipeline = copy.copy(pipeline)
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    return diffusers_latents(pipeline, timesteps=TIMESTEPS, guidance_scale=0.0, **options)


def euler(schedule, steps, cfg, *more):
    return ("--sampler", "euler", "--schedule", schedule, "--steps", steps, "--cfg-scale", cfg, *more)


def compare_sd15(comparison, program, pipeline, work):
    model = work / "sd15"
    pipeline.save_pretrained(str(model))
    comparison.check("SD 1.5, lcm 4 steps", fourstep(program, model, work, *LCM), lcm_latents(pipeline))
    comparison.check("SD 1.5, lcm 4 steps, clip skip 1", fourstep(program, model, work, *LCM, "--clip-skip", 1),
                     lcm_latents(pipeline, clip_skip=1))
    for negative in ("", NEGATIVE):
        expected = diffusers_latents(pipeline, num_inference_steps=20, guidance_scale=7.0, negative_prompt=negative)
        arguments = euler("leading", 20, 7, *(["--negative-prompt", negative] if negative else []))
        comparison.check(f'SD 1.5, euler 20 steps, CFG 7, negative prompt "{negative}"',
                         fourstep(program, model, work, *arguments), expected)


def compare_sdxl_empty_negative(comparison, program, pipeline, work):
    expected = diffusers_latents(pipeline, num_inference_steps=20, guidance_scale=7.0)
    comparison.check("SDXL, euler 20 steps, CFG 7, no negative prompt (zeros)",
                     fourstep(program, work / "sdxl", work, *euler("leading", 20, 7)), expected)
    expected = diffusers_latents(pipeline, num_inference_steps=20, guidance_scale=7.0, negative_prompt="")
    arguments = euler("leading", 20, 7, "--empty-negative", "encoded")
    comparison.check("SDXL, euler 20 steps, CFG 7, negative prompt \"\", encoded",
                     fourstep(program, work / "sdxl", work, *arguments), expected)


def compare_clip_skip(comparison, program, pipeline, work):
    # At CFG 1 only: diffusers leaves the negative prompt's layers alone, fourstep skips in both.
    got = fourstep(program, work / "sdxl", work, *LCM, "--clip-skip", 1)
    comparison.check("SDXL, lcm 4 steps, clip skip 1", got, lcm_latents(pipeline, clip_skip=1))


def full_start_noise(scheduler, steps):
    """Noise that this scheduler scales to standard deviation sqrt(sigma^2 + 1), as fourstep and ComfyUI start and
    diffusers itself with "leading"; with "trailing" diffusers leaves out the 1."""
    scheduler.set_timesteps(steps)
    sigma = scheduler.sigmas[0]
    return start_noise() * (sigma**2 + 1)**0.5 / scheduler.init_noise_sigma


def compare_v_prediction(comparison, program, pipeline, work):
    for zero_snr, tolerance in ((False, 1e-4), (True, ZERO_SNR_TOLERANCE)):
        model = copy.copy(pipeline)
        model.scheduler = tiny_sdxl.scheduler(prediction_type="v_prediction", rescale_betas_zero_snr=zero_snr,
                                              timestep_spacing="trailing")
        folder = work / f"v_prediction_{zero_snr}"
        model.save_pretrained(str(folder))
        single = [work / "single.safetensors", "--prediction", "v_prediction", *["--zero-snr", "true"] * zero_snr]
        for cfg in (1, 7):
            negative = ["--negative-prompt", NEGATIVE] if cfg != 1 else []
            expected = diffusers_latents(model, num_inference_steps=20, guidance_scale=cfg if cfg != 1 else 0.0,
                                         negative_prompt=NEGATIVE if negative else None,
                                         latents=full_start_noise(model.scheduler, 20))
            for layout, (file, *more) in (("diffusers", [folder]), ("single file", single)):
                got = fourstep(program, file, work, *euler("trailing", 20, cfg), *negative, *more)
                name = "v-prediction" + " with zero SNR" * zero_snr
                comparison.check(f"SDXL, {name}, euler 20 steps, CFG {cfg}, {layout}", got, expected, tolerance)


def main(program):
    comparison = Comparison()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        work = pathlib.Path(folder)
        compare_sd15(comparison, program, make_sd15(work / "vocabulary"), work)
        sdxl = tiny_sdxl.make_pipeline(work / "vocabulary")
        sdxl.save_pretrained(str(work / "sdxl"))
        tiny_sdxl.save_single_file(sdxl, work / "single.safetensors")
        compare_clip_skip(comparison, program, sdxl, work)
        compare_sdxl_empty_negative(comparison, program, sdxl, work)
        compare_v_prediction(comparison, program, sdxl, work)
    return comparison.exit_code()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
