"""Samples with the schedulers of diffusers and with fourstep's diffusers dialect on a toy for a network, in all spacings
and remappings, at numbers of steps that divide 1000 and that do not, and compares the final latents.

    python tests/oracle/compare_schedulers.py build/release/tests/sample_toy

Where diffusers itself fails or ends in NaN, fourstep must refuse in a sentence or end in a finite latent.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import torch

import schedulers

STEPS = (1, 2, 3, 4, 6, 7, 9, 11, 13, 20)
# Of the largest number of the latent, or of 1. diffusers rounds noise levels and states to float32 at every step. With zero terminal SNR it also takes the difference of
# nearly equal float32 numbers for the highest levels.
# A Brownian path moves by the root of the levels' rounding, 1e-6.
TOLERANCE, ZERO_SNR_TOLERANCE, PATH_TOLERANCE = 1e-4, 2e-3, 2e-3


def fourstep(program, cases):
    """One list of numbers, or a refusal, for each case."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "requests.json"
        path.write_text(json.dumps([case.request() for case in cases]))
        return json.loads(subprocess.run([program, path], check=True, capture_output=True, text=True).stdout)


def tolerance(case):
    if case.is_zero_snr:
        return ZERO_SNR_TOLERANCE
    return PATH_TOLERANCE if case.sampler == "dpmpp_sde" else TOLERANCE


def reference(case):
    """Its latent by diffusers, or None where that fails, is not finite or is the noise that it began with."""
    try:
        latent = case.sample()
    except (AssertionError, IndexError, RuntimeError, ValueError):
        return None
    noise = torch.randn(schedulers.SHAPE, generator=torch.Generator().manual_seed(schedulers.SEED))
    is_noise = torch.allclose(latent, noise, atol=1e-5)
    return latent if torch.isfinite(latent).all() and not is_noise else None


class Counts:
    def __init__(self):
        self.equal, self.failed, self.without_reference, self.worst = 0, 0, [], (0.0, "")

    def check(self, case, got):
        expected = reference(case)
        if expected is None:
            self.without_reference.append(case.name())
            is_good = isinstance(got, str) or bool(torch.isfinite(torch.tensor(got)).all())
        elif isinstance(got, str):
            is_good = False
            print(f"{case.name()}: {got}")
        else:
            error = (torch.tensor(got) - expected.flatten()).abs().max().item()
            error /= max(1, expected.abs().max().item())
            is_good = error <= tolerance(case)
            if tolerance(case) == TOLERANCE:
                self.worst = max(self.worst, (error, case.name()))
            if not is_good:
                print(f"{case.name()}: max |difference| {error:.2e} of {expected.abs().max():.2f}")
            self.equal += is_good
        self.failed += not is_good


def main(program):
    torch.set_num_threads(1)
    all_cases = list(schedulers.cases(STEPS))
    counts = Counts()
    for case, got in zip(all_cases, fourstep(program, all_cases), strict=True):
        counts.check(case, got)
    print(f"{counts.equal} of {len(all_cases)} combinations of scheduler, settings, spacing and steps "
          f"({', '.join(map(str, STEPS))}) equal; largest difference {counts.worst[0]:.2e} ({counts.worst[1]}), at most "
          f"{TOLERANCE:.0e}; with zero terminal SNR {ZERO_SNR_TOLERANCE:.0e}, on Brownian paths {PATH_TOLERANCE:.0e}; "
          f"{counts.failed} failed")
    print(f"{len(counts.without_reference)} where diffusers itself fails or makes no step: {'; '.join(counts.without_reference) or 'none'}")
    print(f"left out, as scipy or torchsde is not installed: {', '.join(schedulers.MISSING) or 'none'}")
    return 1 if counts.failed or not counts.equal else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
