"""Runs `fourstep generate` and diffusers' SDXL pipeline on the same tiny random model, prompt and seed, and
compares the final latents: largest absolute difference at most 1e-4. Both file layouts, both samplings, LoRA
files in three key styles, which diffusers loads and fuses itself.

    python tests/oracle/compare_generate.py build/release/bin/fourstep
"""

import copy
import pathlib
import sys
import tempfile

import torch
from diffusers import LCMScheduler

import tiny_lora
import tiny_sdxl
from comparison import NEGATIVE, Comparison, diffusers_latents, fourstep

LCM = dict(sampler="lcm", timesteps=[999, 749, 499, 249], steps=4, cfg=1.0)
EULER = dict(sampler="euler", timesteps=None, steps=20, cfg=7.0)
LORAS = (None, ("kohya", 0.7), ("peft_folded_alpha", -0.85), ("peft_metadata_alpha", 0.6))


def reference(pipeline, case):
    pipeline = copy.copy(pipeline)
    if case["sampler"] == "lcm":
        pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    has_cfg = case["cfg"] != 1
    steps = dict(timesteps=case["timesteps"]) if case["timesteps"] else dict(num_inference_steps=case["steps"])
    return diffusers_latents(pipeline, negative_prompt=NEGATIVE if has_cfg else None,
                             guidance_scale=case["cfg"] if has_cfg else 0.0, **steps)


def options(case, lora, work):
    arguments = ["--sampler", case["sampler"], "--cfg-scale", case["cfg"]]
    if case["timesteps"]:
        arguments += ["--timesteps", ",".join(map(str, case["timesteps"]))]
    else:
        arguments += ["--schedule", "leading", "--steps", case["steps"]]
    if case["cfg"] != 1:
        arguments += ["--negative-prompt", NEGATIVE]
    if lora:
        file, weight = lora
        arguments += ["--lora", f"{work / file}.safetensors:{weight}"]
    return arguments


def write_files(pipeline, work):
    """Both layouts and the LoRAs; returns the number of modules of each LoRA."""
    pipeline.save_pretrained(str(work / "diffusers"))
    tiny_sdxl.save_single_file(pipeline, work / "single.safetensors")
    modules = tiny_lora.make_lora(pipeline)
    tiny_lora.save_kohya_lora(modules, work / "kohya.safetensors")
    tiny_lora.save_peft_lora(modules, work / "peft_folded_alpha.safetensors", has_metadata=False)
    tiny_lora.save_peft_lora(modules, work / "peft_metadata_alpha.safetensors", has_metadata=True)
    return len(modules)


def main(program):
    comparison = Comparison()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        work = pathlib.Path(folder)
        plain = tiny_sdxl.make_pipeline(work / "vocabulary")
        num_modules = write_files(plain, work)
        for lora in LORAS:
            model = plain
            if lora:
                model = tiny_lora.with_lora(plain, work / f"{lora[0]}.safetensors", lora[1], num_modules)
                print(f"{lora[0]}: diffusers loaded all {num_modules} modules")
            for case in (LCM, EULER):
                expected = reference(model, case)
                for layout in ("diffusers", "single.safetensors"):
                    got = fourstep(program, work / layout, work, *options(case, lora, work))
                    name = " ".join(map(str, lora)) if lora else "no LoRA"
                    comparison.check(f"{case['sampler']} {case['steps']} steps, CFG {case['cfg']}, {name}, {layout}",
                                     got, expected)
    return comparison.exit_code()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
