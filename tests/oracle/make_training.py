"""Writes tests/golden/training.json: what the tests of src/train compare with.

  random  hashes of keys (splitmix64 over FNV-1a, written here with Python's whole numbers), and what torch's CPU
          generator draws from them
  adamw   three parameters after each update of torch.optim.AdamW, from given gradients

Usage: make_training.py OUTPUT
"""

import json
import sys

import torch

MASK = (1 << 64) - 1
GOLDEN_RATIO = 0x9E3779B97F4A7C15
KEYS = [(0, "", 0), (0, "critic noise", 0), (0, "critic noise", 1), (1, "critic noise", 0), (2**63, "t", 10**6),
        (7, "down_blocks.0.resnets.0.conv1", 0)]


def mix(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def hash_of(seed, stream, iteration):
    name = 0xCBF29CE484222325
    for byte in stream.encode():
        name = (name ^ byte) * 0x100000001B3 & MASK
    first = mix(seed + GOLDEN_RATIO & MASK) ^ name
    return mix(mix(first) + iteration * GOLDEN_RATIO & MASK)


def random_case(seed, stream, iteration):
    key_hash = hash_of(seed, stream, iteration)

    def generator():
        return torch.Generator().manual_seed(key_hash >> 32)

    return {"seed": str(seed), "stream": stream, "iteration": iteration, "hash": str(key_hash),
            "normal": torch.randn(20, generator=generator()).tolist(),
            "integers": torch.randint(-3, 1000, (20,), generator=generator()).tolist(),
            "uniform": torch.rand(20, generator=generator()).tolist()}


def adamw_case(name, options, rates):
    """Gradients of very different sizes; the third parameter has none in the second update."""
    generator = torch.Generator().manual_seed(5)
    parameters = [torch.randn(shape, generator=generator) for shape in ((5,), (3, 2), (4,))]
    case = {"name": name, "options": options, "rates": rates, "start": [p.flatten().tolist() for p in parameters],
            "shapes": [list(p.shape) for p in parameters], "gradients": [], "after": []}
    parameters = [torch.nn.Parameter(p) for p in parameters]
    optimizer = torch.optim.AdamW(parameters, betas=(options["beta1"], options["beta2"]), eps=options["eps"],
                                  weight_decay=options["weight_decay"])
    for i, rate in enumerate(rates):
        gradients = [torch.randn(p.shape, generator=generator) * 10.0 ** (k - 2) for k, p in enumerate(parameters)]
        case["gradients"].append([g.flatten().tolist() if (i, k) != (1, 2) else None
                                  for k, g in enumerate(gradients)])
        for k, (parameter, gradient) in enumerate(zip(parameters, gradients)):
            parameter.grad = gradient if (i, k) != (1, 2) else None
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        case["after"].append([p.flatten().tolist() for p in parameters])
    return case


def main(output):
    plain = dict(beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01)
    cases = [adamw_case("torch's defaults", plain, [1e-3] * 4),
             adamw_case("distillation", plain | dict(beta1=0.5, weight_decay=0), [1e-4, 2e-4, 1e-2, 0.0]),
             adamw_case("large eps and decay", plain | dict(beta1=0.0, beta2=0.9, eps=0.1, weight_decay=0.5), [0.1] * 3)]
    lists = {"random": [random_case(*key) for key in KEYS], "adamw": cases}
    with open(output, "w", encoding="utf-8") as file:
        file.write('{"what": "made by tests/oracle/make_training.py"')
        for name, items in lists.items():
            file.write(f',\n"{name}": [\n' + ",\n".join(map(json.dumps, items)) + "]")
        file.write("}\n")


if __name__ == "__main__":
    main(sys.argv[1])
