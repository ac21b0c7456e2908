#!/usr/bin/env python3
"""Merges of known strength, found again by `lora detect`: estimates, error bars, and whether these cover the truth.
Below that, `lora diff` of 0.5 + 0.5 of a LoRA with the LoRA.

    ninja -C build/release fourstep bench_make_random_sdxl
    .venv/bin/python bench/strength_table.py --folder DIR                  # the model that ships with fourstep
    .venv/bin/python bench/strength_table.py --folder DIR --size tiny      # SDXL's layout at the smallest widths
    .venv/bin/python bench/strength_table.py --folder DIR --size full      # random SDXL, 6.94 GB; a part of the cases

Every case is a merge into one type: into the plain model, on top of random fine-tuning noise of 1% or 3% of each
weight's norm, on top of 0.8 of another LoRA (its own in every case), or into a base that has the type already. Finished
cases stand in DIR/SIZE.jsonl and are not done again; --all does at full size what it does at the others. One merged file
is there at a time: at most 35 GB at full size."""

import argparse
import ctypes
import json
import math
import struct
import sys
import zlib
from pathlib import Path

import torch

from workbench import ROOT, timed

STRENGTHS = (0, 0.2, 0.5, 0.7, 1.0, -0.25)
DTYPES = ("fp32", "fp16", "bf16", "fp8")
KINDS = ("plain", "second LoRA", "1% noise", "3% noise", "base of this type")
NOISE = {"1% noise": 0.01, "3% noise": 0.03}
SECOND_STRENGTH = 0.8
TYPES = {"F16": torch.float16, "F32": torch.float32}
EMOJI = ROOT / "models/emoji"
UNET = "model.diffusion_model."


def seed_of(*parts):
    return zlib.crc32(" ".join(map(str, parts)).encode())


def header_of(path):
    """(bytes of the whole header, its entries in the order of their data, without the metadata)."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        entries = json.loads(file.read(size))
    entries.pop("__metadata__", None)
    return 8 + size, dict(sorted(entries.items(), key=lambda item: item[1]["data_offsets"]))


def bytes_of(values):
    return ctypes.string_at(values.data_ptr(), values.numel() * values.element_size())


def rewrite(source, target, change):
    """A copy of a safetensors file, tensor by tensor: change(name, shape, fp32 values) returns new values or None."""
    begin, entries = header_of(source)
    with open(source, "rb") as read, open(target, "wb") as write:
        write.write(read.read(begin))
        for name, entry in entries.items():
            data = read.read(entry["data_offsets"][1] - entry["data_offsets"][0])
            kind = TYPES.get(entry["dtype"])
            if kind and data:
                new = change(name, entry["shape"], torch.frombuffer(bytearray(data), dtype=kind).float())
                data = data if new is None else bytes_of(new.to(kind))
            write.write(data)


def normal(count, *seed):
    return torch.randn(count, generator=torch.Generator().manual_seed(seed_of(*seed)))


def write_noisy(base, target, share):
    """`base` after a fine-tune without direction: random numbers of `share` times the norm of every UNet weight."""
    def add_noise(name, shape, values):
        if not name.startswith(UNET) or len(shape) < 2:
            return None
        noise = normal(values.numel(), name, share)
        return values + noise * (share * values.norm() / noise.norm())
    rewrite(base, target, add_noise)


def write_random_lora(like, target, seed="lora", least_deviation=0.0):
    """Another LoRA for the same modules: normal numbers of each factor's deviation."""
    def randomise(name, _, values):
        if name.endswith("alpha"):
            return None
        return normal(values.numel(), name, seed) * max(float(values.square().mean().sqrt()), least_deviation)
    rewrite(like, target, randomise)


class Bench:
    """Commands on one model; knows its files."""

    def __init__(self, args):
        self.args, self.folder = args, args.folder
        self.merged, self.answer = self.folder / "merged.safetensors", self.folder / "answer.json"
        self.second = self.folder / "second.safetensors"
        self.records_path = self.folder / f"{args.size}.jsonl"
        self.records = []
        if self.records_path.exists():
            self.records = [json.loads(line) for line in self.records_path.read_text().splitlines()]

    def run(self, *words):
        return timed([self.args.program, *words])

    def answer_of(self, *words):
        """(what the command prints as JSON, seconds, peak memory in GB)"""
        seconds, memory = timed([self.args.program, *words, "--json"], self.answer)
        return json.loads(self.answer.read_text()), seconds, memory

    def make_model(self):
        if self.args.size == "shipped":
            self.base, self.lora = EMOJI / "emoji.safetensors", EMOJI / "emoji_dmd2_4step_lora_fp32.safetensors"
        elif self.args.size == "full":
            self.base, self.lora = self.folder / "sdxl.safetensors", self.folder / "lora.safetensors"
            if not self.lora.exists():
                timed([self.args.maker, self.base, self.lora])
        else:
            self.make_tiny()

    def make_tiny(self):
        """Hardly trained; its LoRA has the keys of a distilled one and random numbers."""
        model, student = self.folder / "tiny", self.folder / "student"
        self.base, self.lora = model / "model.safetensors", self.folder / "tiny_lora.safetensors"
        if self.lora.exists():
            return
        self.run("train", "--quiet", "--threads", 1, "--out", model, "--vae-channels", "32,32,32,32", "--vae-iterations", 2,
                 "--vae-batch", 2, "--latents", 64, "--unet-channels", "32,32,64", "--unet-depths", "0,1,1", "--text-widths",
                 "64,64", "--text-layers", 2, "--iterations", 2, "--batch", 8, "--sample-every", 0)
        self.run("distill", "--quiet", "--threads", 1, "--model", self.base, "--out", student, "--sample-every", 0,
                 "--iterations", 1, "--batch", 2, "--student-rank", 4, "--critic-rank", 2, "--gan-weight", 0)
        write_random_lora(student / "dmd2_4step_lora_fp32.safetensors", self.lora, "tiny", 0.02)

    def cases(self):
        """(kind, type, strength), those that share a base one after the other."""
        is_part = self.args.size == "full" and not self.args.all
        for kind in KINDS:
            for dtype in DTYPES[2:] if kind == "base of this type" else DTYPES:
                for strength in STRENGTHS:
                    if not is_part or strength == 0.7 or (kind, dtype) == ("plain", "fp16"):
                        yield kind, dtype, strength

    def is_done(self, case, by):
        return any((r["kind"], r["type"], r["truth"], r["by"]) == (*case, by) for r in self.records)

    def base_for(self, kind, dtype):
        """The model to merge into, and the one that `lora detect` is told of."""
        if kind in NOISE:
            path = self.folder / f"noisy_{NOISE[kind]}.safetensors"
            if not path.exists():
                self.drop("noisy_*", "base_*")
                write_noisy(self.base, path, NOISE[kind])
            return path, self.base
        if kind != "base of this type":
            return self.base, self.base
        path = self.folder / f"base_{dtype}.safetensors"
        if not path.exists():
            self.drop("noisy_*", "base_*")
            self.run("model", "convert", self.base, path, "--dtype", dtype, "-q")
        return path, path

    def drop(self, *patterns):
        for pattern in patterns:
            for path in self.folder.glob(pattern):
                path.unlink()

    def reference(self, by, base):
        if by == "base":
            return ["--base", base]
        path = self.folder / f"{base.stem}.{self.args.size}.json"
        if not path.exists():
            self.run("lora", "fingerprint", base, "--lora", self.lora, "-o", path, "--no-hashes", "-q")
        return ["--fingerprint", path]

    def measure(self, case):
        kind, dtype, strength = case
        missing = [by for by in ("fingerprint", "base") if not self.is_done(case, by)]
        if not missing:
            return
        target, known = self.base_for(kind, dtype)
        others = self.others(case)
        self.run("model", "merge", target, "--lora", f"{self.lora}:{strength}", *others, "-o", self.merged,
                 "--dtype", dtype, "--no-hashes", "-q")
        for by in missing:
            self.detect(case, by, known)
        self.merged.unlink()

    def others(self, case):
        """Options for what is merged beside the LoRA: of every case another draw, or all would be off by the same."""
        if case[0] != "second LoRA":
            return []
        write_random_lora(self.lora, self.second, " ".join(map(str, case)))
        return ["--lora", f"{self.second}:{SECOND_STRENGTH}"]

    def detect(self, case, by, known):
        found, seconds, memory = self.answer_of("lora", "detect", self.merged, "--lora", self.lora, "-q",
                                                *self.reference(by, known))
        kind, dtype, strength = case
        record = {"kind": kind, "type": dtype, "truth": strength, "by": by, "found": found["strength"],
                  "error": math.inf if found["error"] is None else found["error"], "verdict": found["verdict"], "seconds": round(seconds, 2),
                  "memory_gb": round(memory, 3)}
        self.records.append(record)
        with open(self.records_path, "a") as file:
            file.write(json.dumps(record) + "\n")
        print(json.dumps(record), file=sys.stderr, flush=True)

    def diff(self):
        """Rows of `lora diff`: name, relative difference, cosine, verdict."""
        model = ["--model", self.base]
        files = {dtype: self.folder / f"lora_{dtype}.safetensors" for dtype in ("fp32", "fp16")}
        for dtype, path in files.items():
            self.run("lora", "convert", self.lora, path, "--to", "kohya", "--dtype", dtype, "-q", *model)
        halves = self.folder / "halves.safetensors"
        pairs = [(files["fp32"], files["fp32"]), (files["fp16"], files["fp16"]), (files["fp32"], files["fp16"])]
        for first, second in pairs:
            self.run("lora", "merge", f"{first}:0.5", f"{second}:0.5", "-o", halves, "-q", *model)
            yield self.diff_row(f"0.5 {name_of(first)} + 0.5 {name_of(second)}, and 1.0 {name_of(first)}", first, halves)
        yield self.diff_row("fp32 and fp16", files["fp32"], files["fp16"])

    def diff_row(self, name, a, b):
        found, *_ = self.answer_of("lora", "diff", a, b, "--model", self.base)
        return name, found["total"]["relative_difference"], found["total"]["cosine"], found["verdict"]


def name_of(path):
    return path.stem.split("_")[-1]


def is_covered(record):
    return abs(record["found"] - record["truth"]) <= record["error"]


def cell(record):
    """Estimate and error bar; bold when the bar does not reach the truth."""
    if record is None:
        return ""
    text = f"{record['found']:.4f} +- {record['error']:.4f}"
    return text if is_covered(record) else f"**{text}**"


def table_lines(records):
    yield "| base | type | by | " + " | ".join(f"truth {s}" for s in STRENGTHS) + " |"
    yield "|---" * (3 + len(STRENGTHS)) + "|"
    known = {(r["kind"], r["type"], r["by"], r["truth"]): r for r in records}
    for row in dict.fromkeys(key[:3] for key in known):
        yield "| " + " | ".join((*row, *(cell(known.get((*row, s))) for s in STRENGTHS))) + " |"


def summary_lines(records):
    """Largest miss and coverage by type."""
    yield "| type | cases | largest miss | bars that cover the truth | widest bar |"
    yield "|---|---|---|---|---|"
    for dtype in DTYPES:
        found = [r for r in records if r["type"] == dtype]
        if found:
            miss = max(abs(r["found"] - r["truth"]) for r in found)
            yield (f"| {dtype} | {len(found)} | {miss:.4f} | {sum(map(is_covered, found))} | "
                   f"{max(r['error'] for r in found):.4f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--size", choices=("tiny", "shipped", "full"), default="shipped")
    parser.add_argument("--all", action="store_true", help="all cases at full size too (hours)")
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/bin/fourstep")
    parser.add_argument("--maker", type=Path, default=ROOT / "build/release/bench/make_random_sdxl")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(args)
    bench.make_model()
    for case in bench.cases():
        bench.measure(case)
    bench.drop("noisy_*", "base_*")
    print("\n".join([*table_lines(bench.records), "", *summary_lines(bench.records), ""]))
    print("| `lora diff` of | relative difference | cosine | verdict |\n|---|---|---|---|")
    for name, difference, cosine, verdict in bench.diff():
        print(f"| {name} | {difference:.2e} | {cosine:.9f} | {verdict} |")


if __name__ == "__main__":
    main()
