"""A tiny random SDXL as diffusers has it (three levels, two text encoders, VAE) and its files in both layouts.
Everything is drawn from fixed seeds."""

import json
import pathlib
import sys

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from make_tiny_keys import ldm_unet_name, ldm_vae_name

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNET = dict(
    in_channels=4, out_channels=4, sample_size=16, layers_per_block=2, block_out_channels=[64, 128, 128],
    down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    transformer_layers_per_block=[1, 1, 2], attention_head_dim=[1, 2, 2], cross_attention_dim=192,
    addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=128 + 1536,
    use_linear_projection=True)
VAE = dict(block_out_channels=[32, 32, 64, 64], latent_channels=4, layers_per_block=2, norm_num_groups=32,
           down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
           scaling_factor=0.13025)


def text_config(width, **more):
    return CLIPTextConfig(hidden_size=width, intermediate_size=2 * width, num_hidden_layers=3,
                          num_attention_heads=width // 64, vocab_size=49408, bos_token_id=49406, eos_token_id=2,
                          **more)


def tokenizer(folder, pad_token):
    """CLIP's own vocabulary, which scripts/setup keeps, in the form that transformers reads."""
    lines = (ROOT / "share/clip/merges.txt").read_text().splitlines()[:48895]
    merges = lines[1:]
    base = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    letters = [chr(b) for b in base] + [chr(256 + i) for i in range(256 - len(base))]
    words = letters + [letter + "</w>" for letter in letters] + ["".join(m.split()) for m in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), pad_token=pad_token,
                         model_max_length=77)


def scheduler(**more):
    return EulerDiscreteScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012,
                                  **dict(dict(steps_offset=1, timestep_spacing="leading"), **more))


def make_pipeline(work):
    """The pipeline in fp32 with random weights. work: a folder for the vocabulary files."""
    torch.manual_seed(1)
    pipeline = StableDiffusionXLPipeline(
        vae=AutoencoderKL(**VAE), unet=UNet2DConditionModel(**UNET),
        text_encoder=CLIPTextModel(text_config(64, hidden_act="quick_gelu")),
        text_encoder_2=CLIPTextModelWithProjection(text_config(128, hidden_act="gelu", projection_dim=128)),
        tokenizer=tokenizer(work / "tokenizer", "<|endoftext|>"),
        tokenizer_2=tokenizer(work / "tokenizer_2", "!"),
        scheduler=scheduler())
    return prepared(pipeline, pipeline.unet, pipeline.vae, pipeline.text_encoder, pipeline.text_encoder_2)


def prepared(pipeline, *parts):
    """The pipeline with random norms and biases, which start as ones and zeros, and without a progress bar."""
    for part in parts:
        for name, parameter in part.named_parameters():
            if parameter.dim() == 1 and "norm" in name and name.endswith("weight"):
                torch.nn.init.normal_(parameter, 1, 0.1)
            elif name.endswith("bias"):
                torch.nn.init.normal_(parameter, 0, 0.1)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def clip_name(name):
    return name if name.startswith(("text_model.", "text_projection")) else "text_model." + name


def open_clip_tensors(state):
    """bigG's names and layout: fused in_proj, transposed text_projection."""
    rename = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
              "self_attn.out_proj": "attn.out_proj"}
    tensors, fused = {}, {}
    for name, tensor in state.items():
        name = clip_name(name)
        if name == "text_projection.weight":
            tensors["text_projection"] = tensor.t().contiguous()
        elif name.startswith("text_model.embeddings.token"):
            tensors["token_embedding.weight"] = tensor
        elif name.startswith("text_model.embeddings.position_embedding"):
            tensors["positional_embedding"] = tensor
        elif name.startswith("text_model.final_layer_norm"):
            tensors["ln_final." + name.split(".")[-1]] = tensor
        else:
            _, _, _, index, *inside = name.split(".")
            inside = ".".join(inside)
            block = f"transformer.resblocks.{index}."
            if "self_attn.out_proj" not in inside and inside.startswith("self_attn."):
                _, projection, kind = inside.split(".")
                fused.setdefault(block + "attn.in_proj_" + kind, {})[projection[0]] = tensor
            else:
                for old, new in rename.items():
                    inside = inside.replace(old, new)
                tensors[block + inside] = tensor
    for name, parts in fused.items():
        tensors[name] = torch.cat([parts[p] for p in "qkv"])
    return tensors


def save_single_file(pipeline, path):
    tensors = {}
    for name, tensor in pipeline.unet.state_dict().items():
        tensors["model.diffusion_model." + ldm_unet_name(name, UNET)] = tensor
    for name, tensor in pipeline.vae.state_dict().items():
        ldm = ldm_vae_name(name, len(VAE["block_out_channels"]))
        is_conv = tensor.dim() == 2  # attention: a Linear there, a 1x1 convolution here
        tensors["first_stage_model." + ldm] = tensor[:, :, None, None].contiguous() if is_conv else tensor
    for name, tensor in pipeline.text_encoder.state_dict().items():
        tensors["conditioner.embedders.0.transformer." + clip_name(name)] = tensor
    for name, tensor in open_clip_tensors(pipeline.text_encoder_2.state_dict()).items():
        tensors["conditioner.embedders.1.model." + name] = tensor
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, str(path))


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    made = make_pipeline(folder / "vocabulary")
    made.save_pretrained(str(folder / "diffusers"))
    save_single_file(made, folder / "single.safetensors")
    print(f"{folder}: a tiny SDXL")
