"""Writes tests/golden/samplers_others.json: samplers that the programs behind samplers_comfyui.json did not have yet, by
their formulas once more in plain Python, on the toy, the lists and the noise of that file.

exp_heun_2_x0 and exp_heun_2_x0_sde: the exponential Heun method for x0 in the time lambda = -log(sigma), as ComfyUI has
them since 2025 (`sample_seeds_2` with r = 1 and the solver "phi_2"). With h the step's length in lambda, q = (1 + eta) h
and D, D' the estimates at both ends,

  x' = (sigma'/sigma) exp(-eta h) x + s_noise sigma' sqrt(1 - exp(-2 eta h)) z + (1 - exp(-q)) D         (then D' at x')
  x  = (sigma'/sigma) exp(-eta h) x + (1 - exp(-q)) D + (1 - (1 - exp(-q)) / q) (D' - D) + the same noise

and a second draw, without weight, follows the first. The last step, to 0, is the estimate.

Usage: make_samplers.py OUTPUT
"""

import json
import math
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "golden" / "samplers_comfyui.json"
SCHEDULES = ("karras 8", "simple 4")


class Toy:
    def __init__(self, meta):
        self.a, self.c, self.w = meta["a"], meta["c"], meta["w"]
        self.size = math.prod(meta["shape"])

    def denoised(self, x, sigma):
        out = []
        for n, value in enumerate(x):
            p = 0.6 * math.sin(0.7 * n + 0.3) - 0.25 * math.cos(0.31 * n)
            wave = self.c * math.sin(self.w * value / math.sqrt(1 + sigma * sigma))
            out.append(p + (value - p) * self.a / (self.a + sigma * sigma) + wave)
        return out


def exp_heun(toy, sigmas, noise_table, eta):
    x = [sigmas[0] * z for z in noise_table[0]]
    calls, rows = [], []

    def estimate(state, sigma):
        calls.append({"sigma": sigma, "x": state})
        return toy.denoised(state, sigma)

    for sigma, to in zip(sigmas, sigmas[1:]):
        first = estimate(x, sigma)
        if to == 0:
            return first, calls, rows
        h = math.log(sigma / to)
        q = (1 + eta) * h
        keep, share = to / sigma * math.exp(-eta * h), 1 - math.exp(-q)
        noise = [0.0] * toy.size
        if eta > 0:
            rows += [len(rows) + 1, len(rows) + 2]
            scale = to * math.sqrt(1 - math.exp(-2 * eta * h))
            noise = [scale * z for z in noise_table[rows[-2]]]
        predicted = [keep * v + share * d + z for v, d, z in zip(x, first, noise)]
        second = estimate(predicted, to)
        weight = 1 - share / q
        x = [p + weight * (b - a) for p, a, b in zip(predicted, first, second)]
    return x, calls, rows


def main(path):
    source = json.loads(SOURCE.read_text())
    meta = source["meta"]
    toy = Toy(meta["toy"])
    lists = {case["schedule"]: case["sigmas"] for case in source["cases"]}
    cases = []
    for name, eta in (("exp_heun_2_x0", 0.0), ("exp_heun_2_x0_sde", 1.0)):
        for schedule in SCHEDULES:
            sigmas = lists[schedule]
            x, calls, rows = exp_heun(toy, sigmas, meta["noise_table"], eta)
            cases.append({"family": "comfyui", "sampler": name, "schedule": schedule, "sigmas": sigmas,
                          "x_init": calls[0]["x"], "calls": calls, "noise_used": [{"row": row} for row in rows],
                          "x_final": x})
    most = max(noise["row"] for case in cases for noise in case["noise_used"])
    head = {"source": "make_samplers.py", "toy": meta["toy"], "noise_table": meta["noise_table"][:most + 1]}
    with open(path, "w") as out:
        out.write('{"meta": ' + json.dumps(head) + ',\n "cases": [\n  ' +
                  ",\n  ".join(json.dumps(case) for case in cases) + "\n ]}\n")


if __name__ == "__main__":
    main(sys.argv[1])
