"""What the scripts comparing `fourstep generate` with diffusers share: running it, and counting agreement."""

import subprocess

import torch
from diffusers.utils import logging as diffusers_logging
from safetensors.torch import load_file
from transformers.utils import logging as transformers_logging

torch.set_num_threads(1)
diffusers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()

PROMPT = "a photo of a red fox in the snow, golden hour, highly detailed"
NEGATIVE = "blurry, lowres"
SEED, SIZE, TOLERANCE = 7, 128, 1e-4


def fourstep(program, model, work, *options):
    """The final latents of one image; options: further ones of the command line."""
    command = [program, "generate", PROMPT, "--model", model, "--width", SIZE, "--height", SIZE, "--seed", SEED,
               "--precision", "fp32", "--quiet", "--out", work / "image.png",
               "--latents", work / "latents.safetensors", *options]
    subprocess.run([str(part) for part in command], check=True)
    return load_file(str(work / "latents.safetensors"))["latent"]


def start_noise():
    return torch.randn(1, 4, SIZE // 8, SIZE // 8, generator=torch.Generator().manual_seed(SEED))


def diffusers_latents(pipeline, **options):
    return pipeline(PROMPT, width=SIZE, height=SIZE, output_type="latent",
                    generator=torch.Generator().manual_seed(SEED), **options).images


class Comparison:
    """Prints one line per run and counts those within the tolerance."""

    def __init__(self):
        self.num_runs = self.num_good = 0

    def check(self, what, got, expected, tolerance=TOLERANCE):
        error = (got - expected).abs().max().item()
        is_good = error <= tolerance
        self.num_runs += 1
        self.num_good += is_good
        print(f"{what:<72} max |difference| {error:.2e}  (at most {tolerance:.0e}; latents up to "
              f"{expected.abs().max():.2f})  {'ok' if is_good else 'FAILED'}", flush=True)

    def exit_code(self):
        print(f"{self.num_good} of {self.num_runs} runs within their tolerance")
        return 0 if self.num_runs and self.num_good == self.num_runs else 1
