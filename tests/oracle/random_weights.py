"""Random network weights that the C++ tests make again bit by bit: the twin of
tests/support/random_weights.h, which states the rule."""

import math
import zlib

import torch


def random_weight(name, shape):
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    noise = torch.randn(tuple(shape), generator=generator, dtype=torch.float32)
    if name.endswith(".bias"):
        return noise * 0.1
    if len(shape) == 1:
        return noise * 0.1 + 1.0
    return noise * (1.0 / math.sqrt(noise.numel() / shape[0]))


def random_weights(shapes):
    """shapes: parameter name -> shape. Returns name -> fp32 tensor."""
    return {name: random_weight(name, shape) for name, shape in sorted(shapes.items())}


def fill(module, rename=lambda name: name):
    """Gives every parameter of a torch module the random weight of its (renamed) name and returns the
    shapes by that name. rename: from the module's own names to the names that fourstep uses."""
    shapes = {rename(name): list(parameter.shape) for name, parameter in module.named_parameters()}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(random_weight(rename(name), parameter.shape))
    return shapes
