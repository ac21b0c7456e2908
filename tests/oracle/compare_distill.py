"""Runs iterations of DMD2 with distill_step and with dmd2_reference.py on the same tiny random networks, conditions,
noise and timesteps, and compares all that they compute: relative difference at most 1e-4.

    python tests/oracle/compare_distill.py build/release/tests/distill_step

The relative difference of numbers is |a - b| / |b|, of tensors |a - b|_2 / |b|_2, of the moments of AdamW, which hold
every clipped gradient, the largest over all tensors. Parameters are compared as one vector: AdamW's first update is the
rate times the sign of each gradient, which rounding turns round where it is all but zero. The reference computes in
float64, so that what differs is the rounding of fp32; each iteration of both starts from the program's state.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from diffusers import UNet2DConditionModel
from diffusers.utils import logging
from safetensors.torch import load_file, save_file

import dmd2_reference as dmd2
from random_weights import fill

torch.set_num_threads(1)
logging.set_verbosity_error()

TOLERANCE = 1e-4
ITERATIONS, BATCH = 4, 3
SETTINGS = dict(
    timesteps=[999, 749, 499, 249], student="lora", backbone="shared", student_rank=4, student_alpha=2, critic_rank=6,
    critic_alpha=9, iterations=6, critic_ratio=2, student_lr=2e-3, critic_lr=1e-3, warmup=2, last_lr_share=0.1,
    beta1=0.5, weight_decay=0.01, max_grad_norm=10, cfg_scale=4, cfg_ramp=0, decoupled=False, gan_weight=0,
    discriminator_weight=0.3, gan_start=0)
# What differs from SETTINGS. GAN: on a map that needs a convolution with stride, and from the second student's turn
# on, so that the head is at first without gradient.
GAN = dict(side=24, gan_weight=0.5, gan_start=0.3, max_grad_norm=0.05)
CASES = {
    "coupled, CFG 4": dict(seed=1),
    "decoupled, CFG 4": dict(seed=2, decoupled=True),
    "decoupled, CFG ramp from 1 to 4": dict(seed=3, decoupled=True, cfg_ramp=0.5),
    "coupled, CFG 1": dict(seed=4, cfg_scale=1),
    "GAN, two adapters on one backbone, clipped": dict(seed=5, **GAN),
    "separate backbone, full student and critic": dict(seed=6, student="full", backbone="separate", student_lr=2e-4,
                                                       critic_lr=1e-4),
    "GAN, separate backbone, full student and critic": dict(
        seed=7, student="full", backbone="separate", student_lr=2e-4, critic_lr=1e-4, decoupled=True, **GAN),
    "separate backbone, LoRA student, full critic": dict(seed=8, backbone="separate", critic_lr=1e-4),
    "one step at 399": dict(seed=9, timesteps=[399], decoupled=True),
}


def random_start(network, seed):
    """Values for what the network trains: a student or critic that has gone some way from the teacher."""
    generator = torch.Generator().manual_seed(seed)
    values = {}
    for name, parameter in network.trainable.items():
        noise = torch.randn(parameter.shape, generator=generator)
        rows = parameter.numel() / len(parameter)
        if name.endswith(".lora_down.weight"):
            values[name] = noise / rows ** 0.5
        elif name.endswith(".lora_up.weight"):
            values[name] = noise * 0.3 / rows ** 0.5
        else:
            values[name] = parameter.detach().float() + 0.1 * noise / rows ** 0.5
    return values


def random_inputs(seed, side):
    generator = torch.Generator().manual_seed(seed)

    def condition():
        sizes = torch.tensor([8.0 * side, 8.0 * side, 0, 16, 8.0 * side, 8.0 * side])
        return {"context": torch.randn(BATCH, *dmd2.CONTEXT, generator=generator),
                "pooled": torch.randn(BATCH, dmd2.POOLED, generator=generator),
                "time_ids": sizes.repeat(BATCH, 1)}

    return {"cond": condition(), "real_cond": condition(),
            "real": torch.randn(BATCH, 4, side, side, generator=generator)}


def flat(tree, prefix=""):
    out = {}
    for name, value in tree.items():
        out |= flat(value, f"{prefix}{name}/") if isinstance(value, dict) else {prefix + name: value.contiguous()}
    return out


def doubles(tree):
    if isinstance(tree, dict):
        return {name: doubles(value) for name, value in tree.items()}
    return tree.double() if tree.is_floating_point() else tree


def under(tensors, prefix):
    return {name[len(prefix):]: value for name, value in tensors.items() if name.startswith(prefix)}


def draws_of(tensors):
    """"rollout.0" and so on as they are, "critic.t" and "critic.noise" as one entry."""
    draws = {}
    for name, value in doubles(tensors).items():
        kind, _, part = name.partition(".")
        if part in ("t", "noise"):
            draws.setdefault(kind, {})[part] = value
        else:
            draws[name] = value
    return draws


def moments(optimizer, parameters):
    return {f"{name}.{moment}": optimizer.state[parameter][moment]
            for name, parameter in parameters.items() if parameter in optimizer.state
            for moment in ("exp_avg", "exp_avg_sq", "step")}


def copy_into(parameters, values):
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(values[name])


def difference(got, expected):
    """The largest one for dictionaries."""
    if isinstance(expected, dict):
        return max((difference(got[name], expected[name]) for name in expected), default=0)
    expected = torch.as_tensor(expected, dtype=torch.float64)
    size = expected.norm()
    return ((got.double() - expected).norm() / size).item() if size > 0 else got.double().norm().item()


def as_vector(tensors, names):
    return torch.cat([tensors[name].detach().double().flatten() for name in names])


class Table:
    """The differences of one case: a row for each quantity, a column for each iteration."""

    def __init__(self):
        self.rows = {}

    def add(self, quantity, iteration, got, expected):
        value = difference(got, expected)
        self.rows.setdefault(quantity, [None] * ITERATIONS)[iteration] = value

    def print(self):
        """Returns the numbers of good and of all comparisons."""
        good = total = 0
        for quantity, values in self.rows.items():
            found = [value for value in values if value is not None]
            num_good = sum(value <= TOLERANCE for value in found)
            text = " ".join(f"{'-':>9}" if value is None else f"{value:9.1e}" for value in values)
            print(f"  {quantity:<26} {text}   {'PASS' if num_good == len(found) else 'FAIL'}")
            good, total = good + num_good, total + len(found)
        return good, total


def run_program(program, inputs, config, seed):
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        metadata = {"config": json.dumps(config), "seed": str(seed), "iterations": str(ITERATIONS)}
        save_file(flat(inputs), str(work / "input.safetensors"), metadata)
        subprocess.run([program, work / "input.safetensors", work / "output.safetensors"], check=True)
        return load_file(str(work / "output.safetensors"))


def compare_iteration(table, i, d, batch, got):
    """One iteration of both; returns the step of the student that it drew, and whether the student had its turn."""
    draws, schedule = draws_of(under(got, "draws/")), dmd2.schedule_of(d.config, i)
    table.add("schedule", i, under(got, "schedule/"), schedule)
    result = d.step(batch, draws, schedule)
    optional = {"gradient", "matching_loss", "gan_loss", "student_grad_norm", "discriminator_loss"}
    assert optional & got.keys() == optional & result.keys(), "the two computed different quantities"
    for name, value in result.items():
        table.add(name, i, got[name], value)
    for name, optimizer, parameters in (("student", d.student_optimizer, d.student.trainable),
                                        ("critic", d.critic_optimizer, d.critic_parameters)):
        found = under(got, name + "/")
        assert found.keys() == parameters.keys(), f"{name}: other tensors are trained"
        table.add(name + "'s parameters", i, as_vector(found, parameters), as_vector(parameters, parameters))
        found_moments, expected = under(got, name + "_optimizer/"), moments(optimizer, parameters)
        table.add(name + "'s moments", i, found_moments, expected)
        copy_into(parameters, found)
        copy_into(expected, found_moments)
    return int(draws["student_step"]), bool(schedule["is_student_turn"])


def compare_case(program, name, seed, side=8, **changes):
    config = SETTINGS | changes
    unet = UNet2DConditionModel(**dmd2.UNET)
    fill(unet)
    networks = dmd2.make_networks(unet, config)
    head = dmd2.Head(dmd2.UNET["block_out_channels"][-1], side // 4) if config["gan_weight"] else None
    if head:
        fill(head)
    d = dmd2.Distillation(config, networks, head.double() if head else None)
    start = {"student": random_start(d.student, seed), "critic": random_start(d.critic, seed + 100)}
    if head:
        start["critic"] |= {"discriminator/" + key: value.float() for key, value in head.state_dict().items()}
    copy_into(d.student.trainable, start["student"])
    copy_into(d.critic_parameters, start["critic"])
    batch = random_inputs(seed, side)
    got = run_program(program, {"unet": unet.state_dict(), **start, **batch}, config, seed)
    table = Table()
    steps = [compare_iteration(table, i, d, doubles(batch), under(got, f"{i}/")) for i in range(ITERATIONS)]
    turns = " ".join(f"{f'k={k}' + ('*' if is_turn else ''):>9}" for k, is_turn in steps)
    print(f"{name}\n  {'':<26} {turns}   (k: last step of the student's sample; *: the student's turn)")
    return table.print(), {k for k, is_turn in steps if is_turn}


def main(program):
    num_good, num_all, steps_seen = 0, 0, set()
    for name, case in CASES.items():
        (good, total), steps = compare_case(program, name, **case)
        num_good, num_all, steps_seen = num_good + good, num_all + total, steps_seen | steps
        sys.stdout.flush()
    print(f"{num_good} of {num_all} quantities within {TOLERANCE:.0e}")
    if steps_seen != {0, 1, 2, 3}:
        print(f"the student's turns saw its steps {steps_seen} alone: choose other seeds")
        return 1
    return 0 if num_good == num_all else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
