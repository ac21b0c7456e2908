"""Writes tests/golden/keys/tiny.json: parameter names and shapes of small UNets and autoencoders as diffusers
makes them, beside the ldm names of the same tensors. The ldm names are proposed by a plain rule here and
accepted only when diffusers' own converter turns every one of them back into the name it has. (It takes an
upsampler at position 1 or 2 of its block; the position follows from the attention before it.)

    python tests/oracle/make_tiny_keys.py [FOLDER]
"""

import json
import pathlib
import sys

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

RESNET = [("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("time_emb_proj", "emb_layers.1"),
          ("norm2", "out_layers.0"), ("conv2", "out_layers.3"), ("conv_shortcut", "skip_connection")]
TOP = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
       "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
       "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}
VAE_ATTENTION = [("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")]


def sdxl(levels, heads, **more):
    down = ["CrossAttnDownBlock2D" if d else "DownBlock2D" for _, d in levels]
    up = ["CrossAttnUpBlock2D" if d else "UpBlock2D" for _, d in reversed(levels)]
    config = dict(block_out_channels=[c for c, _ in levels], down_block_types=down, up_block_types=up,
                  transformer_layers_per_block=[max(d, 1) for _, d in levels], attention_head_dim=heads,
                  cross_attention_dim=48, addition_embed_type="text_time", addition_time_embed_dim=8,
                  projection_class_embeddings_input_dim=80, use_linear_projection=True, sample_size=8)
    return config | more


UNETS = {
    "sdxl two levels": ("SDXL", sdxl([(32, 0), (64, 2)], [2, 4])),
    "sdxl one resnet, attention in the first level": ("SDXL", sdxl([(32, 1), (32, 0), (64, 3)], 2, layers_per_block=1)),
    "sdxl three resnets": ("SDXL", sdxl([(32, 0), (64, 1)], 2, layers_per_block=3)),
    "sd15 four levels": ("SD 1.5", dict(block_out_channels=[32, 32, 64, 64], cross_attention_dim=16,
                                        attention_head_dim=2, sample_size=8)),
}
VAES = {
    "three levels, one resnet": dict(block_out_channels=[32, 32, 64], layers_per_block=1),
    "two levels, two resnets": dict(block_out_channels=[32, 64], layers_per_block=2),
}


def ldm_unet_name(name, config):
    period = config["layers_per_block"] + 1
    for old, new in TOP.items():
        if name.startswith(old + "."):
            return new + name[len(old):]
    parts = name.split(".")
    if parts[0] == "mid_block":
        module = {"resnets.0": 0, "attentions.0": 1, "resnets.1": 2}[".".join(parts[1:3])]
        return inner(f"middle_block.{module}", parts[1], parts[3:])
    level, kind, index = int(parts[1]), parts[2], int(parts[3])
    if kind == "downsamplers":
        return ".".join([f"input_blocks.{(level + 1) * period}.0.op", parts[-1]])
    if kind == "upsamplers":
        has_attention = "CrossAttn" in config["up_block_types"][level]
        return ".".join([f"output_blocks.{(level + 1) * period - 1}.{2 if has_attention else 1}.conv", parts[-1]])
    side, block = ("input", 1 + level * period + index) if parts[0] == "down_blocks" else (
        "output", level * period + index)
    return inner(f"{side}_blocks.{block}.{0 if kind == 'resnets' else 1}", kind, parts[4:])


def inner(prefix, kind, rest):
    if kind == "resnets":
        rest = [dict(RESNET)[rest[0]]] + rest[1:]
    return ".".join([prefix] + rest)


def ldm_vae_name(name, levels):
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    for old, new in VAE_ATTENTION:
        name = name.replace(f"mid_block.attentions.0.{old}.", f"mid.attn_1.{new}.")
    name = name.replace("mid_block.resnets.0", "mid.block_1").replace("mid_block.resnets.1", "mid.block_2")
    for i in range(levels):
        name = name.replace(f"encoder.down_blocks.{i}.", f"encoder.down.{i}.")
        name = name.replace(f"decoder.up_blocks.{i}.", f"decoder.up.{levels - 1 - i}.")
    return name.replace(".resnets.", ".block.").replace("downsamplers.0", "downsample").replace(
        "upsamplers.0", "upsample")


def checked_rows(state, ldm_names, convert):
    """Rows [ldm, diffusers, shape in the single file], after diffusers' converter agreed."""
    file = {}
    for name, tensor in state.items():
        is_convolution = ".mid.attn_1." in ldm_names[name] and tensor.ndim == 2
        file[ldm_names[name]] = tensor[:, :, None, None] if is_convolution else tensor
    assert len(file) == len(state)
    back = convert(dict(file))
    assert back.keys() == state.keys(), set(back) ^ set(state)
    for name, tensor in state.items():
        assert torch.equal(back[name].reshape(tensor.shape), tensor), name
    return [[ldm_names[name], name, list(file[ldm_names[name]].shape)] for name in state]


def main():
    torch.manual_seed(0)
    cases = []
    for name, (family, config) in UNETS.items():
        unet = UNet2DConditionModel(**config)
        state = unet.state_dict()
        rows = checked_rows(state, {k: ldm_unet_name(k, unet.config) for k in state},
                            lambda file: convert_ldm_unet_checkpoint(
                                {"model.diffusion_model." + k: v for k, v in file.items()}, dict(unet.config)))
        cases.append({"name": name, "component": "unet", "family": family, "rows": rows})
    for name, config in VAES.items():
        kinds = len(config["block_out_channels"])
        vae = AutoencoderKL(down_block_types=["DownEncoderBlock2D"] * kinds,
                            up_block_types=["UpDecoderBlock2D"] * kinds, **config)
        state = vae.state_dict()
        rows = checked_rows(state, {k: ldm_vae_name(k, kinds) for k in state},
                            lambda file: convert_ldm_vae_checkpoint(file, dict(vae.config)))
        cases.append({"name": name, "component": "vae", "rows": rows})
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1] / "golden/keys"
    path = folder / "tiny.json"
    path.write_text(json.dumps({"cases": cases}, separators=(",", ":")).replace('],["', '],\n["') + "\n")
    print(path, *(f"{c['name']}: {len(c['rows'])}" for c in cases), sep="\n")


if __name__ == "__main__":
    main()
