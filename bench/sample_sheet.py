#!/usr/bin/env python3
"""The picture in the README: the shipped model in four steps with its LoRA, above the same prompts in thirty without.

    ninja -C build/release fourstep benches
    bench/sample_sheet.py docs/samples.png
"""

import argparse
import pathlib
import subprocess
import tempfile

import claims

SEED = 1
PROMPTS = ["a strawberry on a white background", "a fox to the left of a mushroom, on a green background",
           "a panda on a pink background", "a lemon above a kiwi fruit, on a teal background",
           "a small birthday cake in the top left corner, on a blue background", "a penguin to the right of a cactus, on an orange background",
           "a cupcake on a half purple, half yellow background", "an octopus on a background that fades from blue to black"]
WAYS = {"with the LoRA: 4 steps": [],
        "without: 30 steps, CFG 3": ["--lora", "none", "--steps", "30", "--cfg-scale", "3", "--sampler", "dpmpp_2m", "--schedule", "karras"]}


def picture(folder, prompt, way):
    file = folder / f"{PROMPTS.index(prompt)}-{list(WAYS).index(way)}.png"
    subprocess.run([str(claims.PROGRAM), "generate", prompt, "--seed", str(SEED), "--quiet", "--out", str(file), *WAYS[way]], check=True)
    return str(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", help="file to write")
    picture_file = parser.parse_args().picture
    with tempfile.TemporaryDirectory() as folder:
        pictures = [picture(pathlib.Path(folder), prompt, way) for way in WAYS for prompt in PROMPTS]
        claims.write_grid(picture_file, "", PROMPTS, list(WAYS), pictures)


if __name__ == "__main__":
    main()
