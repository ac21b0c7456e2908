"""Seconds per DMD2 iteration and peak memory, here and in PyTorch (diffusers and peft), at the same shapes, batch and
student steps, random weights. Programs alternate, each in a process of its own.

    .venv-oracle/bin/python bench/distill_speed.py [--batch 32] [--iterations 20] [--rounds 3] [--width 128]

--width: memory once more, batch 1, for a network with SDXL's depths and this many channels in its first level (0: not).
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import time

ENGINE = pathlib.Path(__file__).resolve().parents[1] / "build/release/bench/distill_speed"
STEPS = [999, 749, 499, 249]
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2",
           "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj"]
UNET = dict(
    sample_size=16, in_channels=4, out_channels=4, block_out_channels=[64, 128, 128], layers_per_block=2,
    down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], transformer_layers_per_block=1,
    attention_head_dim=[1, 2, 2], cross_attention_dim=192, use_linear_projection=True,
    addition_embed_type="text_time", addition_time_embed_dim=32, projection_class_embeddings_input_dim=128 + 192)


class Iteration:
    """DMD2 with a shared backbone: one network, adapters "student" and "critic"."""

    def __init__(self, batch):
        import torch
        from diffusers import UNet2DConditionModel
        from peft import LoraConfig
        self.torch, self.batch = torch, batch
        self.unet = UNet2DConditionModel(**UNET).to(memory_format=torch.channels_last).requires_grad_(False)
        for name, rank in (("student", 16), ("critic", 32)):
            self.unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=TARGETS), name)
        self.parameters = {name: [p for n, p in self.unet.named_parameters() if f".{name}." in n]
                           for name in ("student", "critic")}
        for parameters in self.parameters.values():
            for parameter in parameters:
                parameter.requires_grad_(True)
        self.optimizers = {
            name: torch.optim.AdamW(parameters, lr=1e-4, betas=(0.5, 0.999), weight_decay=0, fused=True)
            for name, parameters in self.parameters.items()}
        self.cond = dict(context=torch.randn(batch, 77, 192), pooled=torch.randn(batch, 128),
                         ids=torch.full((batch, 6), 128.0))
        bars = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64).square()
        bars = (1 - bars).cumprod(0)
        self.alphas, self.sigmas = bars.sqrt().float(), (1 - bars).sqrt().float()

    def eps(self, role, x, t, cond):
        if role is None:
            self.unet.disable_adapters()
        else:
            self.unet.enable_adapters()
            self.unet.set_adapter(role)
            for name, parameters in self.parameters.items():  # set_adapter freezes the other
                for parameter in parameters:
                    parameter.requires_grad_(True)
        added = {"text_embeds": cond["pooled"], "time_ids": cond["ids"]}
        return self.unet(x, t, cond["context"], added_cond_kwargs=added).sample

    def noised(self, x0, noise, t):
        return self.alphas[t].view(-1, 1, 1, 1) * x0 + self.sigmas[t].view(-1, 1, 1, 1) * noise

    def x0(self, x, eps, t):
        return (x - self.sigmas[t].view(-1, 1, 1, 1) * eps) / self.alphas[t].view(-1, 1, 1, 1)

    def descend(self, loss, role):
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.parameters[role], 1.0)
        self.optimizers[role].step()
        self.optimizers[role].zero_grad()
        for parameters in self.parameters.values():
            for parameter in parameters:
                parameter.grad = None

    def simulate(self, k, with_grad):
        torch, x = self.torch, self.torch.randn(self.batch, 4, 16, 16)
        for j in range(k + 1):
            t = torch.full((self.batch,), STEPS[j])
            with torch.set_grad_enabled(j == k and with_grad):
                x0 = self.x0(x, self.eps("student", x, t, self.cond), t)
            if j < k:
                x = self.noised(x0, torch.randn_like(x0), torch.full((self.batch,), STEPS[j + 1]))
        return x0

    def run(self, i, scale=1.5):
        torch = self.torch
        turn = i % 5 == 0
        x0 = self.simulate(i % 4, turn)
        if turn:
            with torch.no_grad():
                t, noise = torch.randint(20, 981, (self.batch,)), torch.randn_like(x0)
                x_t = self.noised(x0, noise, t)
                both = {"context": torch.cat([torch.zeros_like(self.cond["context"]), self.cond["context"]]),
                        "pooled": torch.cat([torch.zeros_like(self.cond["pooled"]), self.cond["pooled"]]),
                        "ids": torch.cat([self.cond["ids"]] * 2)}
                uncond, cond = self.eps(None, torch.cat([x_t, x_t]), torch.cat([t, t]), both).chunk(2)
                teacher = uncond + scale * (cond - uncond)
                critic = self.eps("critic", x_t, t, self.cond)
                g = (teacher - critic) / (teacher - noise).abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-3)
            self.descend(0.5 * torch.nn.functional.mse_loss(x0, (x0 - g).detach()), "student")
        t, noise = torch.randint(0, 1000, (self.batch,)), torch.randn_like(x0)
        eps = self.eps("critic", self.noised(x0.detach(), noise, t), t, self.cond)
        self.descend(torch.nn.functional.mse_loss(eps, noise), "critic")


def run_torch(batch, iterations):
    iteration = Iteration(batch)
    iteration.run(0)
    start = time.time()
    for i in range(iterations):
        iteration.run(i)
    seconds = (time.time() - start) / iterations
    print(json.dumps({"seconds_per_iteration": seconds,
                      "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}))


def measured(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def print_memory(where, shared, separate):
    print(f"memory{where}, shared / separate: {shared['peak_mb']:.0f} / {separate['peak_mb']:.0f} MB = "
          f"{shared['peak_mb'] / separate['peak_mb']:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--iterations", type=int, default=20, help="a multiple of 20 sees each kind equally often")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--torch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.torch:
        return run_torch(options.batch, options.iterations)
    sizes = [str(options.batch), str(options.iterations)]
    commands = {
        "PyTorch, shared": [sys.executable, __file__, "--torch", "--batch", sizes[0], "--iterations", sizes[1]],
        "fourstep, shared": [str(ENGINE), "shared", *sizes],
        "fourstep, separate": [str(ENGINE), "separate", *sizes],
    }
    results = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            results[name].append(measured(command))
    best = {name: min(r["seconds_per_iteration"] for r in rows) for name, rows in results.items()}
    print(f"{'':<20}{'s/iteration':>12}{'peak MB':>10}")
    for name, rows in results.items():
        print(f"{name:<20}{best[name]:>12.3f}{rows[0]['peak_mb']:>10.0f}")
    print(f"speed, PyTorch / fourstep (shared): {best['PyTorch, shared'] / best['fourstep, shared']:.2f}")
    print_memory("", results["fourstep, shared"][0], results["fourstep, separate"][0])
    if options.width:
        large = [measured([str(ENGINE), backbone, "1", "2", str(options.width)]) for backbone in ("shared", "separate")]
        print_memory(f" at {large[0]['million_weights']:.0f} million weights, batch 1", *large)


if __name__ == "__main__":
    main()
