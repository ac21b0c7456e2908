"""Iterations of DMD2 on diffusers' UNet, peft's LoRA layers and torch's autograd and AdamW, in float64. Written from
the papers, with distribution matching in its x0 form, which `fourstep` avoids:

  DMD2             Yin et al. 2024, 2405.14867, and the program published with it
  Decoupled DMD    2511.22677, section 3, hybrid schedule
"""

import copy
import math

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from torch.nn import functional as F

# SDXL's layout at the smallest size that keeps three levels and two transformer depths. A group norm needs more than
# one channel per group, or what is added to a whole channel before it has no gradient; on a 1x1 map, as at the end of
# the discriminator's head, more than two.
UNET = dict(
    in_channels=4, out_channels=4, sample_size=8, layers_per_block=1, block_out_channels=[64, 64, 128],
    down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    transformer_layers_per_block=[1, 1, 2], attention_head_dim=[1, 1, 2], cross_attention_dim=48,
    addition_embed_type="text_time", addition_time_embed_dim=32, projection_class_embeddings_input_dim=40 + 6 * 32,
    use_linear_projection=True)
CONTEXT, POOLED = (7, 48), 40  # tokens and width of the context; width of the pooled text
# The public LoRA's list, main/sd_unified_model.py of DMD2's program.
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2",
           "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj"]
FACTORS = {".lora_A.default.weight": ".lora_down.weight", ".lora_B.default.weight": ".lora_up.weight"}
LARGEST_STEP = 10


class Head(torch.nn.Module):
    """The discriminator's head on a square map: halved until it is 4 wide, then one convolution over the rest."""

    def __init__(self, channels, side):
        super().__init__()
        convs = []
        while side > 4:
            convs.append(torch.nn.Conv2d(channels, channels, 4, stride=2, padding=1))
            side //= 2
        convs.append(torch.nn.Conv2d(channels, channels, side, stride=side))
        self.convs = torch.nn.ModuleList(convs)
        self.norms = torch.nn.ModuleList(torch.nn.GroupNorm(32, channels) for _ in convs)
        self.conv_out = torch.nn.Conv2d(channels, 1, 1)

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms):
            x = F.silu(norm(conv(x)))
        return self.conv_out(x).flatten()


class Network:
    """A UNet in one role, with the parameters that it trains by the names `fourstep` gives them."""

    def __init__(self, unet, trainable):
        self.unet, self.trainable = unet.double(), trainable
        unet.mid_block.register_forward_hook(self._keep_middle)

    def _keep_middle(self, module, inputs, output):
        self._middle = output

    def eps(self, x, t, cond):
        added = {"text_embeds": cond["pooled"], "time_ids": cond["time_ids"]}
        return self.unet(x, t, encoder_hidden_states=cond["context"], added_cond_kwargs=added).sample

    def bottleneck(self, x, t, cond):
        self.eps(x, t, cond)
        return self._middle


def frozen(unet):
    return Network(copy.deepcopy(unet).requires_grad_(False), {})


def full(unet):
    unet = copy.deepcopy(unet).requires_grad_(True)
    return Network(unet, dict(unet.named_parameters()))


def with_lora(unet, rank, alpha):
    unet = copy.deepcopy(unet).requires_grad_(False)
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, target_modules=TARGETS))
    trainable = {}
    for name, parameter in unet.named_parameters():
        for own, common in FACTORS.items():
            if name.endswith(own):
                trainable[name.removesuffix(own) + common] = parameter.requires_grad_(True)
    return Network(unet, trainable)


def make_networks(unet, config):
    """Teacher, student, critic. A shared backbone is nothing but a way to save memory: here each has its own."""
    is_shared = config["backbone"] == "shared"
    student = full(unet) if config["student"] == "full" else with_lora(unet, config["student_rank"],
                                                                       config["student_alpha"])
    critic = with_lora(unet, config["critic_rank"], config["critic_alpha"]) if is_shared else full(unet)
    return frozen(unet), student, critic


def alphas_and_sigmas():
    """Square roots of alpha_bar and 1 - alpha_bar of SDXL's training schedule."""
    betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=torch.float64) ** 2
    alphas_cumprod = torch.cumprod(1 - betas, 0)
    return alphas_cumprod.sqrt(), (1 - alphas_cumprod).sqrt()


ALPHAS, SIGMAS = alphas_and_sigmas()


def level(table, t):
    return table[t].view(-1, 1, 1, 1)


def noised(x0, draw):
    return level(ALPHAS, draw["t"]) * x0 + level(SIGMAS, draw["t"]) * draw["noise"]


def x0_of(x, eps, t):
    return (x - level(SIGMAS, t) * eps) / level(ALPHAS, t)


def mean_size(x):
    return x.abs().mean((1, 2, 3), keepdim=True)


def schedule_of(config, i):
    """The settings of iteration i: linear warm-up of both rates, the student's then falls along half a cosine;
    guidance rises linearly from 1; the student's turn comes every critic_ratio iterations."""
    n, warmup, last = config["iterations"], config["warmup"], config["last_lr_share"]
    cosine = 0.5 * (1 + math.cos(math.pi * (i - warmup) / (n - warmup)))
    ramp = min(1, i / (n * config["cfg_ramp"])) if config["cfg_ramp"] else 1
    return dict(
        is_student_turn=float(i % config["critic_ratio"] == 0),
        has_gan=float(config["gan_weight"] > 0 and i >= config["gan_start"] * n),
        cfg_scale=1 + ramp * (config["cfg_scale"] - 1),
        student_lr=config["student_lr"] * ((i + 1) / warmup if i < warmup else last + (1 - last) * cosine),
        critic_lr=config["critic_lr"] * min(1, (i + 1) / warmup))


class Distillation:
    def __init__(self, config, networks, head):
        """head: a Head, or None without GAN."""
        self.config, self.head = config, head
        self.teacher, self.student, self.critic = networks
        self.critic_parameters = dict(self.critic.trainable)
        if head:
            self.critic_parameters |= {"discriminator/" + name: p for name, p in head.named_parameters()}
        options = dict(betas=(config["beta1"], 0.999), eps=1e-8, weight_decay=config["weight_decay"])
        self.student_optimizer = torch.optim.AdamW(self.student.trainable.values(), **options)
        self.critic_optimizer = torch.optim.AdamW(self.critic_parameters.values(), **options)

    def teacher_x0(self, x, t, cond):
        """With the prompt, and without: zeros in place of the text."""
        null = cond | {name: torch.zeros_like(cond[name]) for name in ("context", "pooled")}
        return x0_of(x, self.teacher.eps(x, t, cond), t), x0_of(x, self.teacher.eps(x, t, null), t)

    @torch.no_grad()
    def gradient(self, x0, draws, cond, w):
        """DMD2: (mu_C - mu_T) / mean|x0 - mu_T|, mu_T being guided. Decoupled: the same without guidance, and
        guidance's part of it at noise levels of its own."""
        at = draws["matching"]
        x, t = noised(x0, at), at["t"]
        mu_critic = x0_of(x, self.critic.eps(x, t, cond), t)
        with_prompt, without = self.teacher_x0(x, t, cond)
        if not self.config["decoupled"]:
            mu = without + w * (with_prompt - without)
            return ((mu_critic - mu) / mean_size(x0 - mu)).clamp(-LARGEST_STEP, LARGEST_STEP)
        g = (mu_critic - with_prompt) / mean_size(x0 - with_prompt)
        if w > 1:
            at = draws["guidance"]
            with_prompt, without = self.teacher_x0(noised(x0, at), at["t"], cond)
            mu = without + w * (with_prompt - without)
            g += (w - 1) * (without - with_prompt) / mean_size(x0 - mu)
        return g.clamp(-LARGEST_STEP, LARGEST_STEP)

    def sample(self, draws, cond):
        """Backward simulation: the steps before the last without gradient."""
        count, last = len(cond["context"]), int(draws["student_step"])
        x = draws["rollout.0"]
        for j in range(last + 1):
            t = torch.full((count,), int(self.config["timesteps"][j]))
            with torch.set_grad_enabled(j == last):
                x0 = x0_of(x, self.student.eps(x, t, cond), t)
            if j < last:
                following = torch.full((count,), int(self.config["timesteps"][j + 1]))
                x = noised(x0, {"t": following, "noise": draws[f"rollout.{j + 1}"]})
        return x0

    def logits(self, x0, draw, cond):
        return self.head(self.critic.bottleneck(noised(x0, draw), draw["t"], cond))

    def descend(self, loss, optimizer, parameters, lr):
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), self.config["max_grad_norm"])
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
        self.student_optimizer.zero_grad()
        self.critic_optimizer.zero_grad()
        return norm

    def step(self, batch, draws, schedule):
        """Both turns. Returns what was computed, by the names of distill_step."""
        cond, has_gan = batch["cond"], schedule["has_gan"]
        x = self.sample(draws, cond)
        out = {"x0": x.detach()}
        if schedule["is_student_turn"]:
            g = out["gradient"] = self.gradient(x.detach(), draws, cond, schedule["cfg_scale"])
            loss = out["matching_loss"] = 0.5 * F.mse_loss(x, (x - g).detach())
            if has_gan:
                out["gan_loss"] = F.softplus(-self.logits(x, draws["gan"], cond)).mean()
                loss = loss + self.config["gan_weight"] * out["gan_loss"]
            out["student_grad_norm"] = self.descend(loss, self.student_optimizer, self.student.trainable,
                                                    schedule["student_lr"])
        x, at = x.detach(), draws["critic"]
        loss = out["critic_loss"] = F.mse_loss(self.critic.eps(noised(x, at), at["t"], cond), at["noise"])
        if has_gan:
            fake = self.logits(x, draws["fake"], cond)
            real = self.logits(batch["real"], draws["real"], batch["real_cond"])
            out["discriminator_loss"] = F.softplus(fake).mean() + F.softplus(-real).mean()
            loss = loss + self.config["discriminator_weight"] * out["discriminator_loss"]
        out["critic_grad_norm"] = self.descend(loss, self.critic_optimizer, self.critic_parameters,
                                               schedule["critic_lr"])
        return {name: value.detach() for name, value in out.items()}
