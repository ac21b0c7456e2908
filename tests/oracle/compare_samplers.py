"""Runs `fourstep generate --dialect diffusers` and diffusers' SDXL pipeline with one scheduler after the other on the
same tiny random model, prompt and seed, and compares the final latents: largest absolute difference at most 1e-4.

    python tests/oracle/compare_samplers.py build/release/bin/fourstep

The schedulers are made from the pipeline's configuration, as users do, with the further settings that SDXL's own file
has (clip_sample and set_alpha_to_one off, skip_prk_steps on). Noise between steps comes from the generator that drew the
first noise: there and here it is one stream. (UniPC's variant "bh1" is not among them: down to sigma 0 it is NaN in
diffusers.) compare_schedulers.py compares more of them in all spacings, on a toy.
"""

import copy
import pathlib
import sys
import tempfile

import torch
from diffusers import (DDIMScheduler, DDPMScheduler, DEISMultistepScheduler, DPMSolverMultistepScheduler,
                       EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, HeunDiscreteScheduler,
                       KDPM2DiscreteScheduler, LCMScheduler, PNDMScheduler, SASolverScheduler, TCDScheduler,
                       UniPCMultistepScheduler)

import tiny_sdxl
from comparison import NEGATIVE, Comparison, diffusers_latents, fourstep

SDXL = dict(clip_sample=False, set_alpha_to_one=False, skip_prk_steps=True)  # SDXL's scheduler_config.json, beside what tiny_sdxl has
# A random network's latents reach 60, where neighbouring fp32 numbers are 4e-6 apart. At CFG 7 that rounding, seven times
# the difference of two calls and over 20 steps, comes to 1.4e-4 in some runs; at 3 it stays below 1e-4.
CFG = 3
LEADING = ("--schedule", "leading")
CASES = [  # scheduler, its further settings, options of the pipeline call, options of fourstep, steps, CFG
    (LCMScheduler, {}, {}, ("--sampler", "lcm", "--schedule", "lcm"), 4, 1),
    (LCMScheduler, {}, {}, ("--sampler", "lcm", "--schedule", "lcm"), 8, 1.5),
    (TCDScheduler, {}, dict(eta=0.3), ("--sampler", "tcd", "--schedule", "lcm"), 4, 1),
    (TCDScheduler, {}, dict(eta=0.0), ("--sampler", "tcd", "--schedule", "lcm", "--eta", 0), 4, 1),
    (EulerAncestralDiscreteScheduler, {}, {}, ("--sampler", "Euler a", *LEADING), 20, CFG),
    (EulerAncestralDiscreteScheduler, dict(timestep_spacing="trailing"), {},
     ("--sampler", "Euler a", "--schedule", "trailing"), 4, 1),
    (EulerDiscreteScheduler, dict(timestep_spacing="trailing"), {}, ("--sampler", "Euler", "--schedule", "trailing"), 8, CFG),
    (DPMSolverMultistepScheduler, dict(use_karras_sigmas=True), {}, ("--sampler", "DPM++ 2M Karras"), 20, CFG),
    (DPMSolverMultistepScheduler, {}, {}, ("--sampler", "DPM++ 2M", *LEADING), 12, CFG),
    (DDIMScheduler, {}, {}, ("--sampler", "DDIM", *LEADING), 20, CFG),
    (DDIMScheduler, dict(timestep_spacing="trailing"), {}, ("--sampler", "DDIM", "--schedule", "trailing"), 8, CFG),
    (DDIMScheduler, {}, dict(eta=1.0), ("--sampler", "DDIM", *LEADING, "--eta", 1), 10, CFG),
    (UniPCMultistepScheduler, {}, {}, ("--sampler", "UniPCMultistepScheduler", *LEADING), 20, CFG),
    (UniPCMultistepScheduler, {}, {}, ("--sampler", "uni_pc_bh2", *LEADING), 6, CFG),
    (UniPCMultistepScheduler, dict(use_karras_sigmas=True), {}, ("--sampler", "uni_pc_bh2", "--schedule", "karras"), 10, CFG),
    # Numbers of steps that do not divide 1000, and timesteps that are not whole.
    (DDIMScheduler, dict(timestep_spacing="trailing"), {}, ("--sampler", "DDIM", "--schedule", "trailing"), 7, CFG),
    (DDIMScheduler, dict(timestep_spacing="linspace"), dict(eta=1.0),
     ("--sampler", "DDIM", "--schedule", "linspace", "--eta", 1), 6, CFG),
    (PNDMScheduler, {}, {}, ("--sampler", "PNDM", *LEADING), 7, CFG),
    (DDPMScheduler, {}, {}, ("--sampler", "DDPM", *LEADING), 7, CFG),
    (EulerDiscreteScheduler, dict(timestep_spacing="linspace"), {}, ("--sampler", "Euler", "--schedule", "linspace"), 7, CFG),
    (EulerDiscreteScheduler, dict(use_karras_sigmas=True), {}, ("--sampler", "Euler Karras"), 7, CFG),
    (HeunDiscreteScheduler, {}, {}, ("--sampler", "Heun", *LEADING), 7, CFG),
    (KDPM2DiscreteScheduler, dict(use_karras_sigmas=True), {}, ("--sampler", "DPM2 Karras"), 6, CFG),
    (DEISMultistepScheduler, {}, {}, ("--sampler", "DEIS", *LEADING), 9, CFG),
    (SASolverScheduler, dict(timestep_spacing="trailing"), {}, ("--sampler", "SASolverScheduler", "--schedule", "trailing"), 9, CFG),
    (DPMSolverMultistepScheduler, dict(use_exponential_sigmas=True), {}, ("--sampler", "DPM++ 2M", "--schedule", "exponential"),
     7, CFG),
]


def compare(comparison, program, pipeline, work, case):
    scheduler, settings, call, options, steps, cfg = case
    model = copy.copy(pipeline)
    model.scheduler = scheduler.from_config(pipeline.scheduler.config, **SDXL, **settings)
    has_cfg = cfg != 1
    expected = diffusers_latents(model, num_inference_steps=steps, guidance_scale=cfg if has_cfg else 0.0,
                                 negative_prompt=NEGATIVE if has_cfg else None, **call)
    negative = ["--negative-prompt", NEGATIVE] if has_cfg else []
    got = fourstep(program, work / "sdxl", work, "--dialect", "diffusers", *options, "--steps", steps, "--cfg-scale", cfg,
                   *negative)
    more = ", ".join(f"{key}={value}" for key, value in {**settings, **call}.items())
    comparison.check(f"{scheduler.__name__.removesuffix('Scheduler')} {more} {steps} steps, CFG {cfg}", got, expected)


def main(program):
    comparison = Comparison()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        work = pathlib.Path(folder)
        pipeline = tiny_sdxl.make_pipeline(work / "vocabulary")
        pipeline.save_pretrained(str(work / "sdxl"))
        for case in CASES:
            compare(comparison, program, pipeline, work, case)
    return comparison.exit_code()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
