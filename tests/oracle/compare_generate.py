"""Runs `fourstep generate` and diffusers' SDXL pipeline on the same tiny random model, prompt and seed, and
compares the final latents: largest absolute difference at most 1e-4. Both file layouts, both samplings, LoRAs in
two key styles.

    python tests/oracle/compare_generate.py build/release/bin/fourstep
"""

import copy
import pathlib
import subprocess
import sys
import tempfile

import torch
from diffusers import LCMScheduler
from safetensors.torch import load_file

import tiny_sdxl

PROMPT = "a photo of a red fox in the snow, golden hour, (highly detailed)"
NEGATIVE = "blurry, lowres"
SEED, SIZE, TOLERANCE = 7, 128, 1e-4
LCM = dict(sampler="lcm", timesteps=[999, 749, 499, 249], steps=4, cfg=1.0)
EULER = dict(sampler="euler", timesteps=None, steps=20, cfg=7.0)


def reference(pipeline, case):
    pipeline = copy.copy(pipeline)
    if case["sampler"] == "lcm":
        pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    has_cfg = case["cfg"] != 1
    steps = dict(timesteps=case["timesteps"]) if case["timesteps"] else dict(num_inference_steps=case["steps"])
    return pipeline(PROMPT, negative_prompt=NEGATIVE if has_cfg else None, width=SIZE, height=SIZE,
                    guidance_scale=case["cfg"] if has_cfg else 0.0, output_type="latent",
                    generator=torch.Generator().manual_seed(SEED), **steps).images


def fourstep(program, model, case, loras, work):
    command = [program, "generate", PROMPT, "--model", model, "--width", SIZE, "--height", SIZE, "--seed", SEED,
               "--sampler", case["sampler"], "--cfg-scale", case["cfg"], "--precision", "fp32", "--quiet",
               "--out", work / "image.png", "--latents", work / "latents.safetensors"]
    if case["timesteps"]:
        command += ["--timesteps", ",".join(map(str, case["timesteps"]))]
    else:
        command += ["--schedule", "leading", "--steps", case["steps"]]
    if case["cfg"] != 1:
        command += ["--negative-prompt", NEGATIVE]
    for file, weight in loras:
        command += ["--lora", f"{file}:{weight}"]
    subprocess.run([str(part) for part in command], check=True)
    return load_file(str(work / "latents.safetensors"))["latent"]


def main(program):
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        work = pathlib.Path(folder)
        plain = tiny_sdxl.make_pipeline(work / "vocabulary")
        plain.save_pretrained(str(work / "diffusers"))
        tiny_sdxl.save_single_file(plain, work / "single.safetensors")
        modules = tiny_sdxl.make_lora(plain)
        tiny_sdxl.save_kohya_lora(modules, work / "kohya.safetensors")
        tiny_sdxl.save_peft_lora(modules, work / "peft.safetensors")
        failures = 0
        for weight, file in ((None, None), (0.7, "kohya"), (-0.85, "peft")):
            model = copy.deepcopy(plain)
            if weight is not None:
                tiny_sdxl.add_lora(model, modules, weight)
            for case in (LCM, EULER):
                expected = reference(model, case)
                for layout in ("diffusers", "single.safetensors"):
                    loras = [] if weight is None else [(work / f"{file}.safetensors", weight)]
                    got = fourstep(program, work / layout, case, loras, work)
                    error = (got - expected).abs().max().item()
                    verdict = "ok" if error <= TOLERANCE else "FAILED"
                    failures += verdict != "ok"
                    print(f"{case['sampler']:<6} {case['steps']:>2} steps  cfg {case['cfg']:<4} lora "
                          f"{'none' if weight is None else f'{file} {weight}':<12} {layout:<20} "
                          f"max |difference| {error:.2e}  (latents up to {expected.abs().max():.2f})  {verdict}",
                          flush=True)
    print(f"{12 - failures} of 12 runs within {TOLERANCE}")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
