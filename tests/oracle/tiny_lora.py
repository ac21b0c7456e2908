"""LoRAs for the tiny SDXL in three key styles, and diffusers' own reading of them."""

import copy
import json

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file

from tiny_sdxl import clip_name

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
TARGETS = {
    "unet": (*ATTENTION, "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2", "conv_shortcut",
             "time_emb_proj", "downsamplers.0.conv", "upsamplers.0.conv"),
    "text_encoder": ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
    "text_encoder_2": ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
}
KOHYA_PREFIXES = {"unet": "lora_unet_", "text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}
RANK, ALPHA = 4, 2.0


def rank_and_alpha(name):
    """Convolutions and feed-forward layers have a rank and an alpha of their own. Attention projections all have
    the most common alpha: diffusers ignores any other for them in kohya's style (peft warns of alpha_pattern)."""
    if "ff.net" in name:
        return RANK, 1.0
    return (3, 4.5) if "conv" in name else (RANK, ALPHA)


def make_lora(pipeline):
    """(component, module name) -> (down, up, alpha), on DMD2's targets and both text encoders."""
    generator = torch.Generator().manual_seed(5)
    modules = {}
    for component, targets in TARGETS.items():
        for name, module in getattr(pipeline, component).named_modules():
            if not name.endswith(targets) or not hasattr(module, "weight"):
                continue
            rank, alpha = rank_and_alpha(name)
            shape = module.weight.shape
            down = torch.randn(rank, *shape[1:], generator=generator) / shape[1:].numel()**0.5
            up = torch.randn(shape[0], rank, *[1] * (len(shape) - 2), generator=generator) * 0.2
            modules[component, name] = (down, up, alpha)
    return modules


def file_name(component, name):
    return name if component == "unet" else clip_name(name)


def save_kohya_lora(modules, path):
    tensors = {}
    for (component, name), (down, up, alpha) in modules.items():
        key = KOHYA_PREFIXES[component] + file_name(component, name).replace(".", "_")
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(alpha)}
    save_file(tensors, str(path))


def save_peft_lora(modules, path, has_metadata):
    """diffusers' style. Its alpha stands in the file's metadata; without them it is folded into the up matrix."""
    tensors, alphas = {}, {}
    for (component, name), (down, up, alpha) in modules.items():
        key = f"{component}.{file_name(component, name)}"
        factor = 1 if has_metadata else alpha / down.shape[0]
        tensors |= {f"{key}.lora_A.weight": down, f"{key}.lora_B.weight": up * factor}
        alphas.setdefault(component, {})[name] = (down.shape[0], alpha)
    metadata = {"lora_adapter_metadata": json.dumps(adapter_metadata(alphas))} if has_metadata else None
    save_file(tensors, str(path), metadata)


def adapter_metadata(alphas):
    """peft's configuration of each component, as diffusers' save_lora_weights writes it."""
    metadata = {}
    for component, of_modules in alphas.items():
        config = LoraConfig(
            r=RANK, lora_alpha=ALPHA, target_modules=list(of_modules),
            rank_pattern={name: rank for name, (rank, _) in of_modules.items() if rank != RANK},
            alpha_pattern={name: alpha for name, (_, alpha) in of_modules.items() if alpha != ALPHA}).to_dict()
        values = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
        metadata |= {f"{component}.{key}": value for key, value in values.items()}
    return json.loads(json.dumps(metadata, default=str))


def with_lora(pipeline, path, weight, num_modules):
    """A copy of the pipeline into which diffusers has loaded and fused the file itself."""
    fused = copy.deepcopy(pipeline)
    fused.load_lora_weights(str(path.parent), weight_name=path.name)
    parts = [getattr(fused, component) for component in TARGETS]
    loaded = sum(isinstance(module, BaseTunerLayer) for part in parts for module in part.modules())
    assert loaded == num_modules, f"{path.name}: diffusers loaded {loaded} of {num_modules} modules"
    fused.fuse_lora(components=list(TARGETS), lora_scale=weight)
    fused.unload_lora_weights()
    return fused
