"""`fourstep lora convert` as diffusers and peft read its results: whatever the key style, the fused weights are the
same, and equal to W + alpha / rank * up @ down.

    python tests/oracle/compare_lora_tools.py build/release/bin/fourstep
"""

import pathlib
import subprocess
import sys
import tempfile

import tiny_lora
import tiny_sdxl
from comparison import Comparison

TOLERANCE = 2e-6  # fp32 rounding of one matrix product
STYLES = {"kohya": (), "kohya-ldm": (), "peft": (), "diffusers": (), "peft folded": ("--fold-alpha",)}


def expected_weights(pipeline, modules):
    """(component, module name) -> the weight with the LoRA in it."""
    weights = {}
    for (component, name), (down, up, alpha) in modules.items():
        weight = getattr(pipeline, component).get_submodule(name).weight
        delta = (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
        weights[component, name] = weight + alpha / down.shape[0] * delta
    return weights


def convert(program, model, source, target, style, *options):
    command = [program, "lora", "convert", source, target, "--to", style, "--model", model, "--quiet", *options]
    subprocess.run([str(part) for part in command], check=True)


def compare_style(comparison, pipeline, path, expected):
    fused = tiny_lora.with_lora(pipeline, path, 1.0, len(expected))
    for component in tiny_lora.TARGETS:
        names = [name for of_component, name in expected if of_component == component]
        network = getattr(fused, component)
        worst = max(names, key=lambda name: (network.get_submodule(name).weight - expected[component, name]).abs().max())
        comparison.check(f"{path.stem}, {component}, worst of {len(names)}: {worst}"[:72],
                         network.get_submodule(worst).weight, expected[component, worst], TOLERANCE)


def main(program):
    comparison = Comparison()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        pipeline = tiny_sdxl.make_pipeline(work)
        pipeline.save_pretrained(str(work / "sdxl"))
        modules = tiny_lora.make_lora(pipeline)
        tiny_lora.save_kohya_lora(modules, work / "source.safetensors")
        expected = expected_weights(pipeline, modules)
        for name, options in STYLES.items():
            target = work / f"{name.replace(' ', '_')}.safetensors"
            convert(program, work / "sdxl", work / "source.safetensors", target, name.split()[0], *options)
            compare_style(comparison, pipeline, target, expected)
    return comparison.exit_code()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
