#!/usr/bin/env python3
"""Writes tests/golden/lora.json: tiny LoRA files of every kind and the weights they must give.

Cases named "peft ..." are made and merged by peft itself, its configuration beside them. The others follow the
published formulas, written here with explicit sums in float64.
Usage: make_lora.py [OUTPUT]
"""
import base64
import json
import sys
from pathlib import Path

import numpy as np
import torch
from peft import LoHaConfig, LoKrConfig, LoraConfig, get_peft_model, get_peft_model_state_dict

DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}


def packed(tensor):
    tensor = tensor.detach().contiguous()
    raw = tensor.view(torch.uint8) if tensor.dim() else tensor.reshape(1).view(torch.uint8)
    return {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape),
            "data": base64.b64encode(raw.numpy().tobytes()).decode()}


def case(name, weight, tensors, merged, **more):
    return {"name": name, "weight": packed(weight), "merged": packed(merged.float()),
            "tensors": {key: packed(value) for key, value in tensors.items()}, **more}


class Net(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


def linear():
    return torch.nn.Linear(10, 12)


def conv(kernel):
    return torch.nn.Conv2d(6, 8, kernel, padding=kernel // 2)


def randomized(model):
    """Every adapter tensor random, so that no factor hides behind a zero."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "magnitude" in name:
                parameter.mul_(1 + 0.2 * torch.rand_like(parameter))
            elif "lora_" in name or "hada_" in name or "lokr_" in name:
                parameter.copy_(0.3 * torch.randn_like(parameter))


def peft_case(name, layer, config, **more):
    weight = layer.weight.detach().clone()
    model = get_peft_model(Net(layer), config)
    randomized(model)
    tensors = {key: value.clone() for key, value in get_peft_model_state_dict(model).items()}
    values = {key: sorted(value) if isinstance(value, set) else value
              for key, value in config.to_dict().items()}
    text = json.dumps(values, default=str)
    merged = model.merge_and_unload().layer.weight.detach()
    return case(name, weight, tensors, merged, peft_config=text, **more)


def peft_cases():
    target = {"target_modules": ["layer"]}
    lora = {"r": 4, "lora_alpha": 3.0, **target}
    yield peft_case("peft linear", linear(), LoraConfig(**lora))
    yield peft_case("peft linear rslora", linear(), LoraConfig(use_rslora=True, **lora))
    yield peft_case("peft linear patterns", linear(),
                    LoraConfig(rank_pattern={"layer": 2}, alpha_pattern={"^layer": 5}, **lora))
    yield peft_case("peft conv 3x3", conv(3), LoraConfig(**lora))
    yield peft_case("peft conv 1x1", conv(1), LoraConfig(**lora))
    yield peft_case("peft dora linear", linear(), LoraConfig(use_dora=True, **lora))
    yield peft_case("peft dora conv 3x3", conv(3), LoraConfig(use_dora=True, **lora))
    other = {"r": 3, "alpha": 2.0, **target}
    yield peft_case("peft loha linear", linear(), LoHaConfig(**other))
    yield peft_case("peft loha conv flat", conv(3), LoHaConfig(use_effective_conv2d=False, **other))
    yield peft_case("peft loha conv tucker", conv(3), LoHaConfig(use_effective_conv2d=True, **other))
    small = {"r": 2, "alpha": 3.0, **target}
    yield peft_case("peft lokr linear", torch.nn.Linear(40, 48), LoKrConfig(**small))
    yield peft_case("peft lokr both factors", torch.nn.Linear(40, 48),
                    LoKrConfig(decompose_both=True, **small))
    yield peft_case("peft lokr whole", torch.nn.Linear(8, 12), LoKrConfig(r=32, alpha=3.0, **target))
    yield peft_case("peft lokr conv tucker", torch.nn.Conv2d(16, 24, 3),
                    LoKrConfig(use_effective_conv2d=True, **small))
    yield peft_case("peft lokr conv flat", torch.nn.Conv2d(16, 24, 3),
                    LoKrConfig(use_effective_conv2d=False, **small))


def random(*shape, dtype=torch.float32):
    return (0.3 * torch.randn(shape)).to(dtype)


def wide(tensor):
    return tensor.to(torch.float64).numpy()


def formula_case(name, weight, tensors, difference, strength=1.0, **more):
    """W + strength * difference, the difference in float64."""
    merged = torch.from_numpy(wide(weight) + strength * difference)
    keyed = {"lora_unet_layer." + key: value for key, value in tensors.items()}
    return case(name, weight, keyed, merged, strength=strength, **more)


def kohya_conv_product(up, down):
    out, rank = up.shape[:2]
    return np.einsum("or,rikl->oikl", wide(up).reshape(out, rank), wide(down))


def kohya_cases():
    weight = random(12, 10)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        up, down = random(12, 4, dtype=dtype), random(4, 10, dtype=dtype)
        tensors = {"lora_up.weight": up, "lora_down.weight": down,
                   "alpha": torch.tensor(1.5, dtype=dtype)}
        label = f"kohya linear {DTYPES[dtype]} negative"
        yield formula_case(label, weight, tensors, 1.5 / 4 * (wide(up) @ wide(down)), -0.85)
    tensors = {"lora_up.weight": up, "lora_down.weight": down, "alpha": torch.tensor([8])}
    yield formula_case("kohya linear integer alpha", weight, tensors, 8 / 4 * (wide(up) @ wide(down)))
    tensors = {"lora_up.weight": up, "lora_down.weight": down}
    yield formula_case("kohya linear no alpha", weight, tensors, wide(up) @ wide(down), 1.3)
    tensors["scale"] = torch.tensor(0.7)
    tensors["alpha"] = torch.tensor(3.0)
    yield formula_case("kohya linear scale before alpha", weight, tensors, 0.7 * (wide(up) @ wide(down)))

    weight = random(8, 6, 3, 3)
    up, down = random(8, 4, 1, 1), random(4, 6, 3, 3)
    tensors = {"lora_up.weight": up, "lora_down.weight": down, "alpha": torch.tensor(2.0)}
    yield formula_case("kohya conv 3x3", weight, tensors, 0.5 * kohya_conv_product(up, down), 0.7)
    up, mid, down = random(8, 4, 1, 1), random(4, 4, 3, 3), random(4, 6, 1, 1)
    tensors = {"lora_up.weight": up, "lora_mid.weight": mid, "lora_down.weight": down,
               "alpha": torch.tensor(2.0)}
    product = np.einsum("om,mnkl,ni->oikl", wide(up)[:, :, 0, 0], wide(mid), wide(down)[:, :, 0, 0])
    yield formula_case("locon tucker", weight, tensors, 0.5 * product)
    weight = random(8, 6, 1, 1)
    up, down = random(8, 4), random(4, 6)
    tensors = {"lora_up.weight": up, "lora_down.weight": down}
    yield formula_case("matrix factors on a 1x1 convolution", weight, tensors,
                       (wide(up) @ wide(down)).reshape(8, 6, 1, 1))


def lycoris_cases():
    weight = random(8, 6, 3, 3)
    a, b, t = [random(3, 8), random(3, 8)], [random(3, 6), random(3, 6)], [random(3, 3, 3, 3) for _ in "12"]
    factors = [np.einsum("ijkl,ip,jq->pqkl", wide(t[n]), wide(a[n]), wide(b[n])) for n in (0, 1)]
    tensors = {"alpha": torch.tensor(1.0)}
    for n in (0, 1):
        tensors.update({f"hada_w{n + 1}_a": a[n], f"hada_w{n + 1}_b": b[n], f"hada_t{n + 1}": t[n]})
    yield formula_case("loha tucker", weight, tensors, factors[0] * factors[1] / 3, 0.6)

    weight = random(12, 10)
    w1, w2 = random(3, 2), random(4, 5)
    tensors = {"lokr_w1": w1, "lokr_w2": w2, "alpha": torch.tensor(1e8)}
    yield formula_case("lokr whole ignores alpha", weight, tensors, np.kron(wide(w1), wide(w2)), 0.5)
    w2_a, w2_b = random(4, 2), random(2, 5)
    tensors = {"lokr_w1": w1, "lokr_w2_a": w2_a, "lokr_w2_b": w2_b, "alpha": torch.tensor(1.0)}
    yield formula_case("lokr second factor decomposed", weight, tensors,
                       0.5 * np.kron(wide(w1), wide(w2_a) @ wide(w2_b)))
    weight = random(12, 10, 3, 3)
    w2 = random(4, 5, 3, 3)
    product = np.kron(wide(w1).reshape(3, 2, 1, 1), wide(w2))
    yield formula_case("lokr conv", weight, {"lokr_w1": w1, "lokr_w2": w2}, product)
    difference = random(12, 10, 3, 3)
    yield formula_case("full difference", weight, {"diff": difference}, wide(difference), -1.5)


def dora_merged(weight, change, magnitude, axis, norm_of, eps=0.0):
    """W' of DoRA: m (W + change) / norm, norm per entry of `axis` over all other axes."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    norm = np.sqrt((norm_of ** 2).sum(axis=others, keepdims=True)) + eps
    return magnitude.reshape(norm.shape) / norm * (weight + change)


def dora_cases():
    for shape, down_shape in (((8, 6), (4, 6)), ((8, 6, 3, 3), (4, 6, 3, 3))):
        weight, down = random(*shape), random(*down_shape)
        up = random(8, 4) if len(shape) == 2 else random(8, 4, 1, 1)
        change = 0.5 * (wide(up).reshape(8, 4) @ wide(down).reshape(4, -1)).reshape(shape)
        for axis, label in ((0, "output"), (1, "input")):
            scale_shape = [1] * len(shape)
            scale_shape[axis] = shape[axis]
            magnitude = 0.5 + torch.rand(scale_shape)
            tensors = {"lora_up.weight": up, "lora_down.weight": down, "alpha": torch.tensor(2.0),
                       "dora_scale": magnitude}
            w = wide(weight)
            for comfy in (False, True):
                norm_of = w if comfy and axis == 0 else w + change
                eps = float(torch.finfo(torch.float32).eps) if comfy else 0.0
                merged = dora_merged(w, change, wide(magnitude), axis, norm_of, eps)
                name = f"dora per {label} {len(shape)}-d" + (" comfy" if comfy else "")
                yield formula_case(name, weight, tensors, merged - w, 0.7,
                                   dora_norm="comfyui" if comfy else "merged")


def main():
    torch.manual_seed(20240523)
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "golden/lora.json"
    cases = [*peft_cases(), *kohya_cases(), *lycoris_cases(), *dora_cases()]
    text = json.dumps({"what": "one layer per case: its weight, a LoRA file, the merged weight",
                       "cases": cases}, indent=0)
    output.write_text(text + "\n")
    print(f"{output}: {len(cases)} cases, {len(text)} bytes")


if __name__ == "__main__":
    main()
