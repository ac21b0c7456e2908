"""The schedulers of diffusers that fourstep's diffusers dialect has a counterpart of, in every spacing and remapping they
offer, and sampling with them on a toy for a network: what compare_schedulers.py and make_schedulers.py share.

Schedulers are made from SDXL's scheduler_config.json, as users do. scipy (LMS, beta) and torchsde (DPMSolverSDE) may be
missing: what needs them is then left out, by name.
"""

import inspect

import diffusers
import torch
from diffusers.utils import is_scipy_available, is_torchsde_available
from diffusers.utils import logging as diffusers_logging

diffusers_logging.set_verbosity_error()

SEED = 7
SHAPE = (1, 4, 8, 8)
SDXL = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
            clip_sample=False, set_alpha_to_one=False, skip_prk_steps=True, prediction_type="epsilon",
            timestep_spacing="leading")
SPACINGS = {name: dict(timestep_spacing=name) for name in ("leading", "trailing", "linspace")}
LINSPACE = {"linspace": {}}
KARRAS = {"karras": dict(use_karras_sigmas=True), "exponential": dict(use_exponential_sigmas=True)}
BETA = {"beta": dict(use_beta_sigmas=True)}
REMAPPED = {**KARRAS, **(BETA if is_scipy_available() else {})}
OWN = {"lcm": {}}  # a list that has no spacing
# Their zero terminal SNR has a last alpha of 2^-24, as fourstep's.
ZERO_SNR = {"trailing": dict(timestep_spacing="trailing", rescale_betas_zero_snr=True, prediction_type="v_prediction")}

SCHEDULERS = [  # class, fourstep's sampler, settings, schedules, arguments of step() and fourstep's fields
    ("EulerDiscreteScheduler", "euler", {}, {**SPACINGS, **REMAPPED}, [{}]),
    ("EulerAncestralDiscreteScheduler", "euler_ancestral", {}, SPACINGS, [{}]),
    ("HeunDiscreteScheduler", "heun", {}, {**SPACINGS, **REMAPPED}, [{}]),
    ("LMSDiscreteScheduler", "lms", {}, {**SPACINGS, **REMAPPED}, [{}]),
    ("KDPM2DiscreteScheduler", "dpm_2", {}, {**SPACINGS, **REMAPPED}, [{}]),
    ("KDPM2AncestralDiscreteScheduler", "dpm_2_ancestral", {}, {**SPACINGS, **REMAPPED}, [{}]),
    ("DPMSolverSDEScheduler", "dpmpp_sde", dict(noise_sampler_seed=SEED), {**SPACINGS, **REMAPPED}, [{}]),
    ("DPMSolverMultistepScheduler", "dpmpp_2m", {}, {**SPACINGS, **REMAPPED}, [{}]),
    ("DPMSolverMultistepScheduler", "dpmpp_2m_sde", dict(algorithm_type="sde-dpmsolver++"), {**SPACINGS, **REMAPPED}, [{}]),
    ("DPMSolverMultistepScheduler", "dpmpp_2m_sde_heun", dict(algorithm_type="sde-dpmsolver++", solver_type="heun"),
     {**SPACINGS, **REMAPPED}, [{}]),
    ("DPMSolverSinglestepScheduler", "dpmpp_2s", {}, {**LINSPACE, **REMAPPED}, [{}]),
    ("DEISMultistepScheduler", "deis", {}, {**SPACINGS, **REMAPPED}, [{}]),
    ("UniPCMultistepScheduler", "uni_pc_bh2", {}, {**SPACINGS, **REMAPPED}, [{}]),
    ("SASolverScheduler", "sa_solver", {}, {**SPACINGS, **REMAPPED}, [{}]),
    ("DDIMScheduler", "ddim", {}, SPACINGS, [{}, dict(eta=0.5), dict(eta=1.0)]),
    ("DDPMScheduler", "ddpm", {}, SPACINGS, [{}]),
    ("PNDMScheduler", "plms", {}, SPACINGS, [{}]),
    ("LCMScheduler", "lcm", {}, OWN, [{}]),
    ("TCDScheduler", "tcd", {}, OWN, [{}, dict(eta=0.0), dict(eta=1.0)]),
    ("EulerDiscreteScheduler", "euler", ZERO_SNR["trailing"], {"trailing": {}}, [{}]),
    ("EulerAncestralDiscreteScheduler", "euler_ancestral", ZERO_SNR["trailing"], {"trailing": {}}, [{}]),
    ("DPMSolverMultistepScheduler", "dpmpp_2m", ZERO_SNR["trailing"], {"trailing": {}}, [{}]),
    ("UniPCMultistepScheduler", "uni_pc_bh2", ZERO_SNR["trailing"], {"trailing": {}}, [{}]),
]
TIMESTEPS = [999, 850, 601, 222, 20]  # an explicit list, for schedulers that take one
MISSING = [name for name, is_there in (("LMSDiscreteScheduler", is_scipy_available()),
                                       ("DPMSolverSDEScheduler", is_scipy_available() and is_torchsde_available()))
           if not is_there]


def toy_output(scaled, timestep):
    t = torch.as_tensor(timestep, dtype=torch.float32) / 1000
    return scaled * (0.25 + 0.7 * t) + 0.3 * torch.sin(2 * scaled + 8 * t)


class Case:
    """A scheduler with settings, a schedule by fourstep's name, and a number of steps."""

    def __init__(self, row, schedule, call, steps):
        self.scheduler, self.sampler, settings, schedules, _ = row
        self.schedule, self.call, self.steps = schedule, call, steps
        self.settings = {**settings, **schedules.get(schedule, {})}
        self.list = dict(timesteps=TIMESTEPS) if schedule == "explicit" else {}

    @property
    def is_zero_snr(self):
        return "rescale_betas_zero_snr" in self.settings

    def name(self):
        more = "".join(f", {key}={value}" for key, value in {**self.settings, **self.call}.items())
        return f"{self.scheduler} {self.schedule} {self.steps} steps{more}"

    def request(self):
        request = dict(dialect="diffusers", sampler=self.sampler, schedule="auto" if self.list else self.schedule, steps=self.steps, seed=SEED,
                       noise="torch", prediction=self.settings.get("prediction_type", "epsilon"), **self.call, **self.list)
        return {**request, "zero_snr": True} if self.is_zero_snr else request

    def sample(self):
        """The final latent by diffusers."""
        scheduler = getattr(diffusers, self.scheduler).from_config({**SDXL, **self.settings})
        scheduler.set_timesteps(**(self.list or dict(num_inference_steps=self.steps)))
        generator = torch.Generator().manual_seed(SEED)
        latent = torch.randn(SHAPE, generator=generator) * scheduler.init_noise_sigma
        arguments = dict(self.call)
        if "generator" in scheduler.step.__code__.co_varnames:
            arguments["generator"] = generator
        for timestep in scheduler.timesteps:
            output = toy_output(scheduler.scale_model_input(latent, timestep), timestep)
            latent = scheduler.step(output, timestep, latent, **arguments).prev_sample
        return latent.to(torch.float32)


def cases(all_steps):
    for row in SCHEDULERS:
        if row[0] in MISSING:
            continue
        for schedule in row[3]:
            for call in row[4]:
                yield from (Case(row, schedule, call, steps) for steps in all_steps)
        if "timesteps" in inspect.signature(getattr(diffusers, row[0]).set_timesteps).parameters and not row[2]:
            yield Case(row, "explicit", {}, len(TIMESTEPS))
