#!/usr/bin/env python3
"""Writes tests/golden/lora_kinds.json: LoRA kinds beyond factors, and the weights and biases they must give.

LyCORIS makes and merges its own kinds (lycoris-lora, which scripts/setup-oracle does not install: pip install
--no-deps lycoris-lora==4.1.3 einops toml into a copy of .venv-oracle); peft makes and merges the cases "peft ...".
Usage: make_lycoris.py [OUTPUT]
"""
import importlib.metadata
import json
import sys
from pathlib import Path

import torch
from lycoris.modules.boft import ButterflyOFTModule
from lycoris.modules.diag_oft import DiagOFTModule
from lycoris.modules.full import FullModule
from lycoris.modules.glora import GLoRAModule
from lycoris.modules.ia3 import IA3Module
from lycoris.modules.norms import NormModule
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

from make_lora import packed as packed_contiguous

STRENGTHS = (1.0, 0.7, -0.5)


def packed(tensor):
    return packed_contiguous(tensor.detach().clone(memory_format=torch.contiguous_format))


def linear(rows=12, columns=10):
    return torch.nn.Linear(columns, rows)


def convolution(kernel):
    return torch.nn.Conv2d(6, 8, kernel, padding=kernel // 2)


def randomized(module, scale=0.3):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
    return module


def merged(strength, weight, bias=None):
    values = {"strength": strength, "weight": packed(weight.detach().float())}
    if bias is not None:
        values["bias"] = packed(bias.detach().float())
    return values


def case(name, layer, tensors, results, **more):
    values = {"name": name, "weight": packed(layer.weight.detach()), "results": results,
              "tensors": {key: packed(value) for key, value in tensors.items()}, **more}
    if getattr(layer, "bias", None) is not None:
        values["bias"] = packed(layer.bias.detach())
    return values


def lycoris_case(name, cls, layer, **options):
    module = randomized(cls("lora_unet_layer", layer, 1.0, **options))
    tensors = {f"lora_unet_layer.{key}": value.detach().clone().contiguous()
               for key, value in module.state_dict().items()}
    results = [merged(s, *module.get_merged_weight(s, shape=layer.weight.shape)) for s in STRENGTHS]
    return case(name, layer, tensors, results)


def lycoris_cases():
    layers = [("linear", linear), ("conv 3x3", lambda: convolution(3)), ("conv 1x1", lambda: convolution(1))]
    for label, make in layers:
        yield lycoris_case(f"glora {label}", GLoRAModule, make(), lora_dim=3, alpha=2.0)
        for on_input in (False, True):
            side = "input" if on_input else "output"
            yield lycoris_case(f"ia3 {label} on {side}", IA3Module, make(), train_on_input=on_input)
        for rescaled in (False, True):
            for constraint in (0, 0.05):
                text = f"{label}{' rescaled' if rescaled else ''}{' constrained' if constraint else ''}"
                options = {"lora_dim": 4, "rescaled": rescaled, "constraint": constraint}
                yield lycoris_case(f"oft {text}", DiagOFTModule, make(), **options)
                wide = linear(16, 5) if label == "linear" else make()
                yield lycoris_case(f"boft {text}", ButterflyOFTModule, wide, **options)
    yield lycoris_case("glora rank 1", GLoRAModule, linear(), lora_dim=1, alpha=1.0)
    yield lycoris_case("boft of 48 rows", ButterflyOFTModule, linear(48, 3), lora_dim=6)


def full_cases():
    for label, layer in (("linear", linear()), ("conv 3x3", convolution(3))):
        diff, diff_b = 0.3 * torch.randn_like(layer.weight), 0.3 * torch.randn_like(layer.bias)
        tensors = {"lora_unet_layer.diff": diff, "lora_unet_layer.diff_b": diff_b}
        module = FullModule.make_module_from_state_dict
        with torch.no_grad():
            full = module("lora_unet_layer", layer, diff, diff_b)
            results = [merged(s, layer.weight + full.weight * s, layer.bias + full.bias * s) for s in STRENGTHS]
        yield case(f"full {label}", layer, tensors, results)
    for label, layer in (("layer norm", torch.nn.LayerNorm(12)), ("group norm", torch.nn.GroupNorm(2, 12))):
        randomized(layer)
        module = randomized(NormModule("lora_unet_layer", layer))
        tensors = {f"lora_unet_layer.{key}": value.detach().clone() for key, value in module.state_dict().items()}
        results = [merged(s, *module.get_merged_weight(s)) for s in STRENGTHS]
        yield case(label, layer, tensors, results)


class Net(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.other = linear()

    def forward(self, x):
        return self.layer(x)


def peft_case(name, layer, observed="layer", **options):
    """The state of the layer `observed` when the adapter's strength is what diffusers sets it to."""
    net = Net(layer)
    pristine = getattr(net, observed)
    before = torch.nn.Module()
    before.weight = pristine.weight.detach().clone()
    before.bias = pristine.bias.detach().clone()
    model = get_peft_model(net, LoraConfig(r=4, lora_alpha=3.0, target_modules=["layer"], **options))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    state = get_peft_model_state_dict(model)
    tensors = {key: value.detach().clone() for key, value in state.items() if f".{observed}." in key or "lora_" in key}
    adapter = model.base_model.model.layer
    results = []
    for strength in STRENGTHS:
        adapter.set_scale("default", strength)
        model.base_model.merge_adapter()
        layer_now = getattr(model.base_model.model, observed)
        if observed == "layer":
            now = layer_now.base_layer
        else:
            now = layer_now.modules_to_save["default"]
        results.append(merged(strength, now.weight.clone(), now.bias.clone()))
        model.base_model.unmerge_adapter()
    config = {"r": 4, "lora_alpha": 3.0}
    return case(name, before, tensors, results, module=f"base_model.model.{observed}",
                peft_config=json.dumps(config))


def peft_cases():
    yield peft_case("peft lora_bias linear", linear(), lora_bias=True)
    yield peft_case("peft lora_bias conv 3x3", convolution(3), lora_bias=True)
    yield peft_case("peft bias lora_only", linear(), bias="lora_only")
    yield peft_case("peft bias all", linear(), bias="all")
    yield peft_case("peft modules_to_save", linear(), observed="other", modules_to_save=["other"])


def main():
    torch.manual_seed(20261130)
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "golden/lora_kinds.json"
    cases = [*lycoris_cases(), *full_cases(), *peft_cases()]
    versions = {name: importlib.metadata.version(name) for name in ("lycoris-lora", "peft", "torch")}
    text = json.dumps({"what": "one layer per case: its weight and bias, a LoRA file, and what they become",
                       "versions": versions, "cases": cases}, indent=0)
    output.write_text(text + "\n")
    print(f"{output}: {len(cases)} cases, {len(text)} bytes")


if __name__ == "__main__":
    main()
