#!/usr/bin/env python3
"""Merging a LoRA into a full-size checkpoint beside a torch script that does the same, finding it again with a
fingerprint, looking into the LoRA: seconds and peak memory of each.

    ninja -C build/release fourstep bench_make_random_sdxl
    .venv/bin/python bench/workbench.py --folder /tmp/workbench [--program build/release/bin/fourstep]

The checkpoint is made there when it is missing (6.94 GB); about 25 GB are needed. Files are removed at the end
unless --keep is given."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What scripts for this do (sd-scripts, kohya's GUI): the whole checkpoint in memory, one product per module in fp32,
# the sum cast once.
TORCH_MERGE = r"""
import ctypes, json, os, struct, sys
import torch

TYPES = {"F16": torch.float16, "F32": torch.float32, "I64": torch.int64}
NAMES = {kind: name for name, kind in TYPES.items()}


def load(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        header.pop("__metadata__", None)
        tensors = {}
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            begin, end = entry["data_offsets"]
            data = bytearray(end - begin)
            file.readinto(data)
            tensors[name] = torch.frombuffer(data, dtype=TYPES[entry["dtype"]]).view(entry["shape"])
    return tensors


def save(path, tensors):
    header, offset = {}, 0
    for name, tensor in tensors.items():
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            tensor = tensor.contiguous()
            size = tensor.numel() * tensor.element_size()
            file.write((ctypes.c_char * size).from_address(tensor.data_ptr()) if size else b"")
        file.flush()
        os.fsync(file.fileno())


base, lora, output, names, strength = sys.argv[1:]
model, change, names = load(base), load(lora), json.load(open(names))
for module, key in names.items():
    up, down = change[module + ".lora_up.weight"].float(), change[module + ".lora_down.weight"].float()
    scale = float(strength) * float(change[module + ".alpha"]) / down.shape[0]
    weight = model[key].float()
    weight += scale * (up.flatten(1) @ down.flatten(1)).view(weight.shape)
    model[key] = weight.half()
save(output, model)
"""


# The peak that the kernel tells of a process counts from the memory of the one that started it, so a small one stands
# between a benchmark, which may hold gigabytes, and its commands.
STOPWATCH = r"""
import os, sys, time
output, *command = sys.argv[1:]
began = time.monotonic()
redirected = [(os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)]
pid = os.posix_spawnp(command[0], command, dict(os.environ, OMP_WAIT_POLICY="passive"), file_actions=redirected)
_, status, usage = os.wait4(pid, 0)
print(time.monotonic() - began, usage.ru_maxrss * 1024 / 1e9, status)
"""


def timed(command, output="/dev/null"):
    """(seconds, peak memory in GB) of a command, whose standard output goes into the file `output`."""
    stopwatch = [sys.executable, "-S", "-c", STOPWATCH, str(output), *map(str, command)]
    told = subprocess.run(stopwatch, stdout=subprocess.PIPE, check=True, text=True).stdout
    seconds, gigabytes, status = map(float, told.split())
    if status != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return seconds, gigabytes


def row(name, result):
    print(f"| {name} | {result[0]:.1f} s | {result[1]:.2f} GB |", flush=True)


def ldm_names(lora, folder):
    """Key in the single file by module of the LoRA, from the tables of the tests."""
    table = json.loads((ROOT / "tests/golden/keys/sdxl.json").read_text())["rows"]
    by_target = {"lora_unet_" + target.removesuffix(".weight").replace(".", "_"): key
                 for key, component, target, *_ in table if component == "unet"}
    modules = {name.removesuffix(".alpha") for name in
               json.loads((ROOT / "tests/golden/dmd2_lora_kohya_fp16.json").read_text())["tensors"]
               if name.endswith(".alpha")}
    names = {module: by_target[module] for module in sorted(modules)}
    path = folder / "names.json"
    path.write_text(json.dumps(names))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/bin/fourstep")
    parser.add_argument("--maker", type=Path, default=ROOT / "build/release/bench/make_random_sdxl")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    base, lora = args.folder / "sdxl.safetensors", args.folder / "lora.safetensors"
    merged, fingerprint = args.folder / "merged.safetensors", args.folder / "sdxl.json"
    if not base.exists():
        timed([args.maker, base, lora])
    names = ldm_names(lora, args.folder)
    print("| | seconds | peak memory |\n|---|---|---|")
    os.environ["XDG_CACHE_HOME"] = str(args.folder / "cache")  # no hash is known beforehand
    shutil.rmtree(args.folder / "cache", ignore_errors=True)
    for name, command in (
            ("cp", ["cp", base, merged]),
            ("model merge, fp16, hashes", [args.program, "model", "merge", base, "--lora", f"{lora}:0.7", "-o", merged,
                                           "-q"]),
            ("model merge, fp16", [args.program, "model", "merge", base, "--lora", f"{lora}:0.7", "-o", merged,
                                   "--no-hashes", "-q"]),
            ("torch script, fp16", [sys.executable, "-c", TORCH_MERGE, base, lora,
                                    args.folder / "torch.safetensors", names, "0.7"]),
            ("lora fingerprint", [args.program, "lora", "fingerprint", base, "--lora", lora, "-o", fingerprint,
                                  "--no-hashes", "-q"]),
            ("lora detect with it", [args.program, "lora", "detect", merged, "--lora", lora, "--fingerprint",
                                     fingerprint, "-q"]),
            ("lora inspect, header alone", [args.program, "lora", "inspect", lora, "--no-hashes"]),
            ("lora inspect, norms, hashes", [args.program, "lora", "inspect", lora, "--norms"])):
        row(name, timed(command))
    if not args.keep:
        shutil.rmtree(args.folder)


if __name__ == "__main__":
    main()
