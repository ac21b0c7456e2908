#!/usr/bin/env python3
"""Do two builds of the program draw the same pictures? Ten requests to the shipped model by both, the SHA-256 of the raw
pixels of each side by side; exit code 1 where any differs.

    git worktree add ../old COMMIT && ../old/scripts/setup --no-tests
    bench/same_pictures.py ../old/build/release/bin/fourstep build/release/bin/fourstep
"""

import hashlib
import pathlib
import subprocess
import sys
import tempfile

REQUESTS = (
    ["a red strawberry on a blue background"],
    ["a cat to the left of a dog", "--steps", "8", "--sampler", "euler_ancestral", "--schedule", "karras"],
    ["(a pizza:1.3) on a (yellow background:0.8)", "--dialect", "a1111", "--noise", "nv"],
    ["a [cat:dog:0.5]", "--dialect", "a1111", "--sampler", "dpmpp_2m_sde", "--steps", "6"],
    ["a rose", "--negative-prompt", "a tulip", "--nag-scale", "3"],
    ["a rose", "--negative-prompt", "a tulip", "--lora", "none", "--cfg-scale", "3", "--steps", "10"],
    ["a panda", "--dialect", "comfyui", "--sampler", "lcm", "--schedule", "sgm_uniform"],
    ["a cactus", "--dialect", "diffusers", "--sampler", "euler", "--steps", "5", "--schedule", "trailing"],
    ["a cookie AND a blue background :0.5", "--dialect", "a1111", "--sampler", "dpmpp_2m", "--schedule", "beta"],
    ["a {red|green|blue} apple", "--width", "192", "--height", "128", "--images", "2", "--eta", "0.5"],
)


def pixels_of(program, request, folder):
    """The digest of the PPM files that the program writes for one request."""
    folder.mkdir()
    done = subprocess.run([program, "generate", *request, "--seed", "7", "--precision", "fp32", "--quiet", "-o",
                           f"{folder}/picture.ppm"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{program}: {done.stderr.strip()}")
    files = sorted(folder.iterdir())
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def main():
    programs, num_different = sys.argv[1:], 0
    if len(programs) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        for number, request in enumerate(REQUESTS):
            old, new = (pixels_of(program, request, pathlib.Path(folder) / f"{number}-{side}")
                        for side, program in enumerate(programs))
            num_different += old != new
            print(f"{'same     ' if old == new else 'DIFFERENT'} {old} {new} {' '.join(request)}")
    print(f"{len(REQUESTS) - num_different} of {len(REQUESTS)} the same")
    return 1 if num_different else 0


if __name__ == "__main__":
    sys.exit(main())
