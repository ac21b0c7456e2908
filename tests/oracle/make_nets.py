"""Writes tests/golden/nets_*.json: outputs of small random diffusers networks, and shape tables of
published models for the tests that read an architecture off its shapes.

    python tests/oracle/make_nets.py [FOLDER] [--keys FOLDER_WITH_KEY_TABLES]

The weights are those of random_weights.py, by name; inputs are torch.randn of a seeded CPU generator. Files
hold shapes, seeds and outputs (base64 of little-endian fp32). bf16_error: distance of diffusers' own bf16
run from its fp32 run, rms(difference) / rms(fp32)."""

import argparse
import base64
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from diffusers.utils import logging

from random_weights import fill

logging.set_verbosity_error()  # it warns of every cast to bf16
GOLDEN = Path(__file__).resolve().parent.parent / "golden"


def randn(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def encode(tensor):
    return base64.b64encode(tensor.contiguous().float().numpy().tobytes()).decode()


def result(run_fp32, run_bf16):
    """The output entry of a golden case for two parameterless runs of one network."""
    with torch.no_grad():
        expected, half = run_fp32(), run_bf16().float()
    error = (half - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    return {"shape": list(expected.shape), "output": encode(expected), "bf16_error": error.item()}


def norm_eps(network):
    """eps of every group and layer norm: with random weights too small to show in the outputs."""
    kinds = (torch.nn.GroupNorm, torch.nn.LayerNorm)
    return {name: module.eps for name, module in network.named_modules() if isinstance(module, kinds)}


def write(path, cases):
    path.write_text(json.dumps({"cases": cases}, separators=(",", ":")) + "\n")
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")


# --- UNet -------------------------------------------------------------------------------------------

CROSS, DOWN = "CrossAttnDownBlock2D", "DownBlock2D"
CROSS_UP, UP = "CrossAttnUpBlock2D", "UpBlock2D"
POOLED, SIZE_WIDTH = 64, 32
SDXL = dict(
    down_block_types=(DOWN, CROSS, CROSS), up_block_types=(CROSS_UP, CROSS_UP, UP),
    cross_attention_dim=96, use_linear_projection=True, addition_embed_type="text_time",
    addition_time_embed_dim=SIZE_WIDTH, projection_class_embeddings_input_dim=POOLED + 6 * SIZE_WIDTH)

UNETS = {
    "SDXL layout": dict(SDXL, block_out_channels=(32, 64, 192), attention_head_dim=(1, 1, 3),
                        transformer_layers_per_block=(1, 1, 2)),
    "SDXL layout, two levels, depths 1": dict(
        SDXL, block_out_channels=(64, 128), attention_head_dim=(1, 2),
        down_block_types=(DOWN, CROSS), up_block_types=(CROSS_UP, UP), transformer_layers_per_block=1),
    "SSD-1B layout": dict(
        SDXL, block_out_channels=(32, 64, 128), attention_head_dim=(1, 1, 2),
        transformer_layers_per_block=(1, 1, 2), mid_block_type="UNetMidBlock2D",
        reverse_transformer_layers_per_block=((2, 2, 3), (2, 1, 1), 1)),
    "Segmind-Vega layout": dict(SDXL, block_out_channels=(32, 64, 128), attention_head_dim=(1, 1, 2),
                                transformer_layers_per_block=(1, 1, 2), mid_block_type="UNetMidBlock2D"),
    "KOALA layout": dict(SDXL, block_out_channels=(32, 64, 128), attention_head_dim=(1, 1, 2),
                         transformer_layers_per_block=(1, 1, 2), layers_per_block=1, mid_block_type=None),
    "SD 1.5 layout": dict(
        down_block_types=(CROSS, CROSS, CROSS, DOWN), up_block_types=(UP, CROSS_UP, CROSS_UP, CROSS_UP),
        block_out_channels=(32, 64, 64, 64), attention_head_dim=8, cross_attention_dim=48),
}
# (batch, h, w, text tokens, timesteps)
UNET_INPUTS = [(1, 8, 8, 77, [999.0]), (2, 7, 9, 5, [249.0, 37.25])]
TIME_IDS = [[1024, 1024, 0, 0, 1024, 1024], [832, 1216, 16, 8, 832, 1216]]


def unet_input(config, number, sizes):
    batch, height, width, tokens, timesteps = sizes
    seed = 100 * (number + 1)
    entry = {"x": [batch, 4, height, width], "x_seed": seed, "timestep": timesteps,
             "context": [batch, tokens, config["cross_attention_dim"]], "context_seed": seed + 1}
    if "addition_embed_type" in config:
        entry |= {"pooled": [batch, POOLED], "pooled_seed": seed + 2, "time_ids": TIME_IDS[:batch]}
    return entry


def run_unet(unet, entry, dtype):
    added = None
    if "pooled" in entry:
        added = {"text_embeds": randn(entry["pooled"], entry["pooled_seed"]).to(dtype),
                 "time_ids": torch.tensor(entry["time_ids"], dtype=torch.float32)}
    return unet(randn(entry["x"], entry["x_seed"]).to(dtype), torch.tensor(entry["timestep"]),
                encoder_hidden_states=randn(entry["context"], entry["context_seed"]).to(dtype),
                added_cond_kwargs=added).sample


def unet_case(name, config):
    unet = UNet2DConditionModel(sample_size=16, in_channels=4, out_channels=4, **config).eval()
    shapes = fill(unet)
    half = UNet2DConditionModel.from_config(unet.config).eval()
    half.load_state_dict(unet.state_dict())
    half = half.to(torch.bfloat16)
    entries = []
    for number, sizes in enumerate(UNET_INPUTS):
        entry = unet_input(config, number, sizes)
        entry |= result(lambda: run_unet(unet, entry, torch.float32),
                        lambda: run_unet(half, entry, torch.bfloat16))
        entries.append(entry)
    heads = config["attention_head_dim"]
    return {"name": name, "heads": [heads] if isinstance(heads, int) else list(heads),
            "shapes": shapes, "norm_eps": norm_eps(unet), "runs": entries}


# --- autoencoders -----------------------------------------------------------------------------------

VAES = {
    "four levels": dict(block_out_channels=(32, 64, 64, 96), layers_per_block=1),
    "SDXL depth, three levels": dict(block_out_channels=(32, 64, 64), layers_per_block=2),
}
TINY_VAES = {
    "TAESDXL layout": dict(encoder_block_out_channels=(16,) * 4, decoder_block_out_channels=(16,) * 4),
    "three levels": dict(encoder_block_out_channels=(24,) * 3, decoder_block_out_channels=(24,) * 3,
                         num_encoder_blocks=(1, 2, 2), num_decoder_blocks=(2, 2, 1)),
}


def vae_runs(vae, half, scale, encode_image):
    """encode_image: (network, image) -> what encoding gives, as one tensor."""
    entries = []
    for number, (batch, height, width) in enumerate([(1, 4, 4), (2, 3, 5)]):
        image = {"operation": "encode", "x": [batch, 3, scale * height, scale * width],
                 "x_seed": 10 + number}
        latent = {"operation": "decode", "x": [batch, 4, height, width], "x_seed": 20 + number}
        x, z = randn(image["x"], image["x_seed"]), randn(latent["x"], latent["x_seed"])
        image |= result(lambda: encode_image(vae, x), lambda: encode_image(half, x.bfloat16()))
        latent |= result(lambda: vae.decode(z).sample, lambda: half.decode(z.bfloat16()).sample)
        entries += [image, latent]
    return entries


def vae_case(name, kind, config, encode_image):
    vae = kind(**config).eval()
    shapes = fill(vae)
    half = kind.from_config(vae.config).eval()
    half.load_state_dict(vae.state_dict())
    scale = 2 ** (len(config.get("block_out_channels", config.get("encoder_block_out_channels"))) - 1)
    runs = vae_runs(vae, half.to(torch.bfloat16), scale, encode_image)
    return {"name": name, "shapes": shapes, "norm_eps": norm_eps(vae), "runs": runs}


def kl_moments(vae, image):
    moments = vae.encode(image).latent_dist
    return torch.cat([moments.mean, moments.logvar], 1)


def make_kl(name, config):
    levels = len(config["block_out_channels"])
    config = dict(config, latent_channels=4, down_block_types=("DownEncoderBlock2D",) * levels,
                  up_block_types=("UpDecoderBlock2D",) * levels)
    return vae_case(name, AutoencoderKL, config, kl_moments)


# --- shapes of published models -----------------------------------------------------------------------


def published_shapes(keys):
    def table(name):
        return json.loads((keys / name).read_text())

    def of_rows(name):
        return {row[1]: row[2] for row in table(name)["rows"]}

    def of_part(entries):
        return {name: entry[1] for name, entry in entries.items()}

    sdxl, sd15 = table("sdxl_base_diffusers.json"), table("sd15_diffusers.json")
    old_names = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}

    def new_name(name):
        parts = name.split(".")
        return ".".join(old_names.get(p, p) for p in parts) if "attentions" in parts else name

    vae = {new_name(k): v for k, v in of_part(sd15["vae"]).items()}
    return {
        "unet": {"SDXL": of_part(sdxl["unet"]), "SSD-1B": of_rows("ssd_1b_unet.json"),
                 "Segmind-Vega": of_rows("segmind_vega_unet.json"), "SD 1.5": of_part(sd15["unet"])},
        "vae": {"SDXL": of_part(sdxl["vae"]), "SD 1.5": vae},
        "tiny_vae": {"TAESDXL": of_part(table("taesdxl.json")["diffusers"])},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=GOLDEN, help="where the files go; tests/golden")
    parser.add_argument("--keys", type=Path, help="folder of key tables; without it nets_shapes.json stays")
    args = parser.parse_args()
    write(args.folder / "nets_unet.json", [unet_case(name, config) for name, config in UNETS.items()])
    write(args.folder / "nets_vae.json", [make_kl(name, config) for name, config in VAES.items()])
    tiny = [vae_case(name, AutoencoderTiny, config, lambda v, x: v.encode(x).latents)
            for name, config in TINY_VAES.items()]
    write(args.folder / "nets_tiny_vae.json", tiny)
    if args.keys:
        path = args.folder / "nets_shapes.json"
        path.write_text(json.dumps(published_shapes(args.keys), separators=(",", ":")) + "\n")
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
