#!/usr/bin/env python3
"""The pictures of docs/tutorial.md, drawn by the shipped model (about two minutes on two cores).

    ninja -C build/release fourstep picture_grid
    bench/tutorial_sheets.py docs/tutorial
"""

import argparse
import pathlib
import subprocess
import tempfile

import claims

BASE = claims.ROOT / "models/emoji/emoji.safetensors"
LORA = claims.ROOT / "models/emoji/emoji_dmd2_4step_lora_fp16.safetensors"
PLAIN = ["--lora", "none", "--sampler", "dpmpp_2m", "--schedule", "karras"]
PROMPTS = ["a strawberry on a blue background", "a panda on a pink background",
           "a fox to the left of a mushroom, on a green background", "a cupcake on a half purple, half yellow background"]


def weight(value):
    return ["--model", str(BASE), "--lora", f"{LORA}:{value}", "--steps", "4", "--sampler", "lcm", "--schedule", "dmd2", "--cfg-scale", "1"]


def merged(file, *more):
    return ["--model", str(file), *more]


def draw(folder, prompt, options):
    file = folder / f"{len(list(folder.glob('*.png')))}.png"
    subprocess.run([str(claims.PROGRAM), "generate", prompt, "--seed", "7", "--quiet", "--out", str(file), *options], check=True)
    return str(file)


def sheet(file, ways):
    with tempfile.TemporaryDirectory() as folder:
        pictures = [draw(pathlib.Path(folder), prompt, way) for prompt in PROMPTS for way in ways.values()]
        claims.write_grid(file, "", list(ways), PROMPTS, pictures)


def sheets(folder, work):
    checkpoint = work / "emoji_dmd2_07.safetensors"
    subprocess.run([str(claims.PROGRAM), "model", "merge", str(BASE), "--lora", f"{LORA}:0.7", "-o", str(checkpoint), "--quiet"], check=True)
    sheet(folder / "steps.webp", {
        "base model, 30 steps, CFG 3": [*PLAIN, "--steps", "30", "--cfg-scale", "3"],
        "base model, 4 steps, CFG 3": [*PLAIN, "--steps", "4", "--cfg-scale", "3"],
        "base model, 4 steps, CFG 1": [*PLAIN, "--steps", "4", "--cfg-scale", "1"],
        "with the DMD2 LoRA, 4 steps": []})
    sheet(folder / "weights.webp", {f"weight {w}": weight(w) for w in (0, 0.3, 0.5, 0.7, 0.85, 1.0, 1.3)})
    sheet(folder / "merged.webp", {
        "merged at 0.7, 4 steps": merged(checkpoint),
        "8 steps": merged(checkpoint, "--steps", "8"),
        "4 steps, CFG 1.5": merged(checkpoint, "--cfg-scale", "1.5"),
        "4 steps, LoRA at 0.3 on top": merged(checkpoint, "--lora", f"{LORA}:0.3"),
        "4 steps, LoRA at 1.0 on top": merged(checkpoint, "--lora", f"{LORA}:1")})
    sheet(folder / "guidance.webp", {f"CFG {c}": [*merged(BASE, "--lora", f"{LORA}:1"), "--cfg-scale", str(c)]
                                    for c in (1, 1.5, 2, 3, 5)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="where the pictures go")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        sheets(folder, pathlib.Path(work))


if __name__ == "__main__":
    main()
