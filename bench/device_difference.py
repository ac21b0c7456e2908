#!/usr/bin/env python3
"""How far pictures made on the GPU are from those of the processor, same prompt, seeds and precision.

    bench/device_difference.py [--program build/release/bin/fourstep] [--images 3]

Prints a table in markdown. Needs numpy; pictures go through PPM files, which every build writes.
"""

import argparse
import pathlib
import subprocess
import tempfile

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROMPT = "a fox to the left of a mushroom, on a green background"


def read_ppm(path):
    """Pixels of a binary PPM of 8 bits, as written by fourstep: three lines of header or one."""
    data = path.read_bytes()
    magic, width, height, largest = data.split(maxsplit=4)[:4]
    assert magic == b"P6" and largest == b"255", path
    count = int(width) * int(height) * 3
    return numpy.frombuffer(data[-count:], dtype=numpy.uint8).astype(float)


def pictures(arguments, folder, device, precision):
    command = [arguments.program, "generate", PROMPT, "--seed", "3", "--images", str(arguments.images), "--quiet",
               "--device", device, "--precision", precision, "-o", str(folder / f"{device}-{precision}.ppm")]
    subprocess.run([str(word) for word in command], check=True)
    return [read_ppm(path) for path in sorted(folder.glob(f"{device}-{precision}*.ppm"))]


def psnr(a, b):
    error = ((a - b) ** 2).mean()
    return float("inf") if error == 0 else 10 * numpy.log10(255**2 / error)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=ROOT / "build/release/bin/fourstep", type=pathlib.Path)
    parser.add_argument("--images", default=3, type=int)
    arguments = parser.parse_args()
    print("| precision | PSNR, dB | largest difference, of 255 |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("fp32", "bf16"):
            both = [pictures(arguments, pathlib.Path(folder), device, precision) for device in ("cpu", "cuda")]
            rows = list(zip(*both, strict=True))
            values = ", ".join(f"{psnr(a, b):.1f}" for a, b in rows)
            print(f"| {precision} | {values} | {max(abs(a - b).max() for a, b in rows):.0f} |")


if __name__ == "__main__":
    main()
