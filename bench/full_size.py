"""One UNet call and one VAE decode at full SDXL size, here and in diffusers, on the same random checkpoint:
relative error, seconds, memory. Programs alternate, each in a process of its own.

    build/release/bench/make_random_sdxl sdxl.safetensors lora.safetensors
    .venv-oracle/bin/python bench/full_size.py sdxl.safetensors [--sides 512 1024] [--dtypes fp32 bf16] [--device cuda]

A call ends when its result is in the CPU's memory. Memory is that of the process, or what was allocated on the GPU.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import torch
from safetensors.torch import load_file, save_file

ENGINE = pathlib.Path(__file__).resolve().parents[1] / "build/release/bench/full_size"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
UNET = dict(
    addition_embed_type="text_time", addition_time_embed_dim=256, attention_head_dim=[5, 10, 20],
    block_out_channels=[320, 640, 1280], cross_attention_dim=2048,
    down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], in_channels=4, out_channels=4,
    projection_class_embeddings_input_dim=2816, transformer_layers_per_block=[1, 2, 10], use_linear_projection=True,
    sample_size=128)
VAE = dict(block_out_channels=[128, 256, 512, 512], down_block_types=["DownEncoderBlock2D"] * 4,
           up_block_types=["UpDecoderBlock2D"] * 4, latent_channels=4, layers_per_block=2, sample_size=1024,
           scaling_factor=0.13025)


def load(make, config, convert, file, prefix, placement):
    with torch.device("meta"):
        network = make(**config)
    state = convert({k: v for k, v in file.items() if k.startswith(prefix)}, dict(network.config))
    state = {k: v.reshape(network.get_parameter(k).shape).to(**placement) for k, v in state.items()}
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def fastest(runs, work):
    seconds = []
    for _ in range(runs + 1):
        start = time.time()
        result = work().float().cpu()
        seconds.append(time.time() - start)
    return min(seconds[1:] or seconds), result


def run_diffusers(checkpoint, device, dtype, out, runs, sides):
    torch.backends.cudnn.allow_tf32 = False  # as in fourstep: fp32 is fp32
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

    placement, report, outputs = dict(device=device, dtype=DTYPES[dtype]), {}, {}
    file = load_file(checkpoint)
    unet = load(UNet2DConditionModel, UNET, convert_ldm_unet_checkpoint, file, "model.diffusion_model.", placement)
    vae = load(AutoencoderKL, VAE, convert_ldm_vae_checkpoint, file, "first_stage_model.", placement)
    del file
    for side in sides:
        torch.manual_seed(side)
        x, context, pooled, latent = (torch.randn(*shape) for shape in (
            (1, 4, side // 8, side // 8), (1, 77, 2048), (1, 1280), (1, 4, side // 8, side // 8)))
        x, context, pooled, latent = (tensor.to(**placement) for tensor in (x, context, pooled, latent))
        sizes = torch.tensor([[side, side, 0, 0, side, side]], **placement)
        added = {"text_embeds": pooled, "time_ids": sizes}
        with torch.inference_mode():
            report[f"unet_{side}"], outputs[f"unet_{side}"] = fastest(runs, lambda: unet(
                x, 499, context, added_cond_kwargs=added).sample)
            report[f"vae_{side}"], outputs[f"vae_{side}"] = fastest(runs, lambda: vae.decode(latent).sample)
    report["peak_gigabytes"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6 if device == "cpu"
                                else torch.cuda.max_memory_allocated() / 1e9)
    save_file({k: v.contiguous() for k, v in outputs.items()}, out)
    print(json.dumps(report))


def run(command):
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def relative_error(got, expected):
    return ((got - expected).norm() / expected.norm()).item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--runs", type=int, default=3, help="timed calls after one to warm up; the fastest counts")
    parser.add_argument("--dtypes", nargs="+", default=["fp32", "bf16"], choices=list(DTYPES))
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--engine", default=ENGINE, help="the program full_size of this folder")
    parser.add_argument("--diffusers", nargs=2, metavar=("DTYPE", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.diffusers:
        return run_diffusers(args.checkpoint, args.device, *args.diffusers, args.runs, args.sides)
    reports, outputs = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for dtype in args.dtypes:
            for program in ("fourstep", "diffusers"):
                out = f"{folder}/{program}_{dtype}.safetensors"
                command = [
                    args.engine, args.checkpoint, args.device, dtype, out, args.runs, *args.sides] if program == "fourstep" else [
                    sys.executable, __file__, args.checkpoint, "--device", args.device, "--runs", args.runs, "--sides", *args.sides,
                    "--diffusers", dtype, out]
                reports[program, dtype] = run(command)
                outputs[program, dtype] = load_file(out)
    exact = outputs.get(("diffusers", "fp32"))
    print(f"{'':<12}{'dtype':<6}{'fourstep':>10}{'diffusers':>11}{'ratio':>7}{'cores':>7}   error against diffusers fp32")
    for dtype in args.dtypes:
        ours, theirs = reports["fourstep", dtype], reports["diffusers", dtype]
        for part in ("unet", "vae"):
            for side in args.sides:
                name = f"{part}_{side}"
                line = f"{name:<12}{dtype:<6}{ours[name]:>8.3f} s{theirs[name]:>9.3f} s{ours[name] / theirs[name]:>7.2f}{ours[name + '_cores']:>7.2f}"
                if exact:
                    mine = relative_error(outputs["fourstep", dtype][name].float(), exact[name])
                    line += f"   {mine:.2e}"
                    if dtype != "fp32":
                        other = relative_error(outputs["diffusers", dtype][name], exact[name])
                        line += f" (diffusers {other:.2e}, ratio {mine / other:.2f})"
                print(line)
        print(f"{'peak memory':<12}{dtype:<6}{ours['peak_gigabytes']:>7.2f} GB{theirs['peak_gigabytes']:>8.2f} GB"
              f"         after loading the UNet {ours['loaded_gigabytes']:.2f} GB in {ours['load_seconds']:.1f} s")


if __name__ == "__main__":
    main()
