"""Runs AnimateDiff pipelines of diffusers on the small models, with Kineograph's names for the arguments, in f32 and f64."""

from contextlib import nullcontext

import torch
from diffusers import AnimateDiffPipeline, DDIMScheduler, LCMScheduler, MotionAdapter

from common import FIXTURES, check, in_f64, motion_norm, relative

DEFAULTS = dict(negative="", steps=4, guidance=1, seed=0, scheduler="lcm", originalSteps=50, motionNorm="joint", clipSkip=0)
# What DDIM runs with: the model folder's own settings, but linear betas.
SCHEDULERS = {"lcm": LCMScheduler, "ddim": DDIMScheduler}


def load(model: str, cls=AnimateDiffPipeline, dtype=torch.float32, **parts):
    """The small model `model` with its motion adapter, in `dtype`."""
    folder = FIXTURES / model
    adapter = MotionAdapter.from_pretrained(folder / "motion_adapter", torch_dtype=torch.float32)
    if "feature_extractor" not in parts:
        parts |= dict(feature_extractor=None, image_encoder=None)
    pipe = cls.from_pretrained(folder, motion_adapter=adapter, torch_dtype=torch.float32, **parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(dtype)


def arguments(pipe, a: dict) -> dict:
    """diffusers' arguments for Kineograph's; sets the pipeline's scheduler."""
    a = {**DEFAULTS, **a}
    extra = {"original_inference_steps": a["originalSteps"]} if a["scheduler"] == "lcm" else {}
    pipe.scheduler = SCHEDULERS[a["scheduler"]].from_config(pipe.scheduler.config, beta_schedule="linear", **extra)
    return dict(
        prompt=a["prompt"],
        negative_prompt=a["negative"],
        num_inference_steps=a["steps"],
        guidance_scale=a["guidance"],
        num_frames=a["frames"],
        width=a["width"],
        height=a["height"],
        clip_skip=a["clipSkip"] or None,
        generator=torch.Generator("cpu").manual_seed(a["seed"]),
    )


def run(pipe, a: dict, more: dict | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """(last latents f32 or f64 `[1, 4, f, h, w]`, frames u8 `[f, H, W, 3]`) for Kineograph's arguments `a` and diffusers' `more`."""
    latents = []
    call = {**arguments(pipe, a), **(more or {})}
    for key in [k for k, v in call.items() if v is ...]:  # what this pipeline does not take
        del call[key]

    def keep(_pipe, _step, _t, values):
        latents.append(values["latents"].clone())
        return {}

    exact = pipe.unet.dtype == torch.float64
    with motion_norm(pipe.unet, a.get("motionNorm", "joint")), in_f64() if exact else nullcontext():
        frames = pipe(**call, output_type="np", callback_on_step_end=keep).frames[0]
    return latents[-1], torch.from_numpy((frames * 255).round().astype("uint8"))


class Cases:
    """Collects runs for one fixture file."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.cases: dict[str, dict] = {}

    def add(self, name: str, pipe, exact, a: dict, more=lambda _pipe: {}) -> torch.Tensor:
        """Runs `a` in f32 and f64, checks and keeps the results; returns the latents."""
        latents, frames = run(pipe, a, more(pipe))
        latents64, frames64 = run(exact, a, more(exact))
        error = relative(latents, latents64)
        off = (frames.int() - frames64.int()).abs()
        check(name, latents)
        clipped = ((frames == 0) | (frames == 255)).float().mean().item()
        assert clipped < 0.3 and frames.float().std() > 15, f"{name}: {clipped:.0%} of the pixels are clipped, deviation {frames.float().std():.1f}"
        self.tensors[f"{name}.latents"], self.tensors[f"{name}.frames"] = latents.float(), frames
        self.cases[name] = {**DEFAULTS, **a, "f32_from_f64": error}
        print(
            f"{name}: latents {list(latents.shape)} std {latents.std():.2f}, f32 from f64 {error:.1e}; "
            f"pixels std {frames.float().std():.0f}, clipped {clipped:.1%}, off by one {off.gt(0).float().mean():.1e}, at most {off.max()}",
            flush=True,
        )
        return latents
