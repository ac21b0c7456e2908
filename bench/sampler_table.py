#!/usr/bin/env python3
"""All samplers on all schedules at few steps, on the shipped model: prompt accuracy, Fréchet distance, a sheet of pictures.

    bench/sampler_table.py [--steps 5,8] [--samples 100] [--samplers lcm,...] [--schedules simple,...]
                           [--write docs/claims.md] [--sheet docs/samplers.png]

The schedules are those of ComfyUI's KSampler. Numbers come from `fourstep evaluate`, whose classifier is trained on first use (or named
with --classifier), pictures from `fourstep generate`. Each finished cell is kept in --out, so a run that was stopped goes on
where it was; --write and --sheet may be given at any time and show what is there. The CFG++ samplers are left out: they are
made for guidance, and distilled models go without.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import time

import claims

ROOT = claims.ROOT
PROMPT = "a strawberry to the left of a fox, on a teal background"
SEED = 7
# The list of ComfyUI's KSampler, and dmd2. Its nodes have polyexponential, laplace, vp, align_your_steps, gits, sd_turbo too.
SCHEDULES = ["dmd2", "simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal", "linear_quadratic",
             "kl_optimal"]
# What the page that this project began with says of schedules with a DMD2 LoRA.
SAID = {"linear_quadratic": "NO", "karras": "GOOD", "exponential": "GOOD", "beta": "GOOD", "normal": "GOOD"}


def fourstep(*words, **options):
    return subprocess.run([str(word) for word in (claims.PROGRAM, *words)], text=True, **options)


def all_samplers():
    """The names that `generate --help` lists, without the CFG++ samplers."""
    text = fourstep("generate", "--help", check=True, stdout=subprocess.PIPE).stdout
    part = text.partition("Samplers:")[2].partition("Schedules:")[0]
    names = re.findall(r"^\s+([a-z]\w*)\s", part, re.MULTILINE)
    return [name for name in names if not name.endswith("_cfg_pp")]


def distances(steps):
    """Of each schedule: the larger of its two distances from DMD2's levels."""
    text = fourstep("inspect", "schedule", "--all", "--json", "--steps", steps, check=True, stdout=subprocess.PIPE).stdout
    return {view["schedule"]: max(view["distance"].values())
            for view in json.loads(text)["schedules"] if "distance" in view}


class Cells:
    """The measured cells: one file each, which holds the rows of `evaluate` by number of steps."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)

    def file(self, sampler, schedule):
        return self.folder / f"{sampler}-{schedule}.json"

    def rows(self, sampler, schedule):
        file = self.file(sampler, schedule)
        return {row["steps"]: row for row in json.loads(file.read_text())} if file.exists() else {}

    def keep(self, sampler, schedule, rows):
        unfinished = self.folder / "unfinished"
        unfinished.write_text(json.dumps(rows))
        unfinished.replace(self.file(sampler, schedule))


def measure(arguments, cells):
    todo = [(sampler, schedule) for sampler in arguments.samplers for schedule in arguments.schedules
            if not set(arguments.steps) <= set(cells.rows(sampler, schedule))]
    start = time.monotonic()
    for done, (sampler, schedule) in enumerate(todo):
        left = (time.monotonic() - start) / done * (len(todo) - done) / 60 if done else 0
        print(f"{done}/{len(todo)} {sampler}, {schedule}; {left:.0f} minutes left", file=sys.stderr, flush=True)
        settings = {"student_steps": ",".join(map(str, arguments.steps)), "student_sampler": sampler,
                    "student_schedule": schedule, "diversity_prompts": 0, "prompts": 1, **arguments.more}
        rows = claims.evaluate(arguments, "evaluations", **settings)
        for row, steps in zip(rows, arguments.steps):
            row["steps"] = steps  # as asked: some schedules make one more or less
        cells.keep(sampler, schedule, rows)


def cell_text(row):
    return f"{100 * row['seen_all']:.0f} / {row['frechet_features']:.0f}" if row else "-"


def table_text(arguments, cells, steps):
    lines = ["| " + " | ".join([f"{steps} steps", *arguments.schedules]) + " |", "|---" * (len(arguments.schedules) + 1) + "|"]
    for sampler in arguments.samplers:
        texts = [cell_text(cells.rows(sampler, schedule).get(steps)) for schedule in arguments.schedules]
        lines.append("| " + " | ".join([sampler, *texts]) + " |")
    return "\n".join(lines)


def accuracy(cells, sampler, schedule, steps):
    row = cells.rows(sampler, schedule).get(steps)
    return None if row is None else 100 * row["seen_all"]


def mean_text(numbers):
    known = [number for number in numbers if number is not None]
    return f"{statistics.mean(known):.1f}" if known else "-"


def ranking_text(arguments, cells, steps):
    """Schedules by the mean accuracy of the two samplers that people use with DMD2."""
    far, used = distances(steps), ("lcm", "euler_ancestral")
    lines = [f"| schedule, {steps} steps | distance from the trained levels | lcm | euler_ancestral | all samplers | said |", "|---" * 6 + "|"]
    both = {schedule: [accuracy(cells, sampler, schedule, steps) for sampler in used] for schedule in arguments.schedules}
    key = lambda schedule: -statistics.mean([number or 0 for number in both[schedule]])  # noqa: E731
    for schedule in sorted(arguments.schedules, key=key):
        every = [accuracy(cells, sampler, schedule, steps) for sampler in arguments.samplers]
        distance = f"{far[schedule]:.2f}" if schedule in far else "-"
        cols = [schedule, distance, *(mean_text([one]) for one in both[schedule]), mean_text(every), SAID.get(schedule, "")]
        lines.append("| " + " | ".join(cols) + " |")
    return "\n".join(lines)


def nearness_text(arguments, cells):
    """How far LCM's accuracy is from Euler a's and from Euler's, over the schedules."""
    lines = []
    for steps in arguments.steps:
        gaps = {}
        for other in ("euler_ancestral", "euler"):
            pairs = [(accuracy(cells, "lcm", schedule, steps), accuracy(cells, other, schedule, steps))
                     for schedule in arguments.schedules]
            gaps[other] = mean_text([abs(a - b) for a, b in pairs if a is not None and b is not None])
        lines.append(f"Mean difference in accuracy at {steps} steps: lcm to euler_ancestral {gaps['euler_ancestral']}, "
                     f"lcm to euler {gaps['euler']} points.")
    return "\n".join(lines)


def page_text(arguments, cells):
    parts = [ranking_text(arguments, cells, steps) for steps in arguments.steps]
    parts += [nearness_text(arguments, cells)]
    parts += [table_text(arguments, cells, steps) for steps in arguments.steps]
    return "\n\n".join(parts)


def picture(arguments, sampler, schedule, steps):
    """The file of a cell's picture; "" where the sampler or schedule cannot make it."""
    file = arguments.out / "pictures" / str(steps) / f"{sampler}-{schedule}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        fourstep("generate", PROMPT, "--model", claims.MODEL, "--lora", claims.LORA[16], "--dialect", "comfyui", "--sampler", sampler,
                 "--schedule", schedule, "--steps", steps, "--seed", SEED, "--quiet", "--out", file)
    return str(file) if file.exists() else ""


def write_sheet(arguments, steps):
    file = arguments.sheet.with_stem(f"{arguments.sheet.stem}-{steps}")
    pictures = [picture(arguments, sampler, schedule, steps) for sampler in arguments.samplers for schedule in arguments.schedules]
    claims.write_grid(file, f"\"{PROMPT}\", seed {SEED}, {steps} steps", arguments.schedules, arguments.samplers, pictures)
    print(file)


def names(text):
    return text.split(",")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=lambda text: [int(word) for word in names(text)], default=[5, 8])
    parser.add_argument("--samples", type=int, default=100, help="pictures per cell")
    parser.add_argument("--samplers", type=names, help="all when not given")
    parser.add_argument("--schedules", type=names, default=SCHEDULES)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "out/samplers", help="keeps finished cells")
    claims.add_evaluation_options(parser)
    parser.add_argument("--sheet", type=pathlib.Path, help="picture file; the number of steps is added to its name")
    parser.add_argument("--only-write", action="store_true", help="measure nothing, write what is there")
    parser.add_argument("--more", type=json.loads, default={}, help="further settings of evaluate, as JSON")
    arguments = parser.parse_args()
    arguments.samplers = arguments.samplers or all_samplers()
    cells = Cells(arguments.out / "cells")
    if not arguments.only_write:
        measure(arguments, cells)
    text = page_text(arguments, cells)
    print(text)
    if arguments.write:
        claims.replace_table(arguments.write, "sampler-table", text)
    for steps in arguments.steps if arguments.sheet else []:
        write_sheet(arguments, steps)


if __name__ == "__main__":
    main()
