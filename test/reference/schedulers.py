"""Runs of diffusers' schedulers over a fixed fake network, for test/schedulers/*.test.ts.

The network is a smooth function of (scaled sample, timestep) and the noise a fixed formula, both written again in
test/schedulers/reference.ts, so a fixture holds configurations and results only. Writes fixtures/schedulers.json.
"""

import contextlib
import importlib
import json
import math
import pathlib
import warnings

import diffusers
import numpy as np
import torch

warnings.filterwarnings("ignore")
diffusers.logging.set_verbosity_error()
HERE = pathlib.Path(__file__).parent
SIZE = 8
SD15 = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
LINEAR = {**SD15, "beta_schedule": "linear"}
CLASSES = {
    "lcm": "LCMScheduler",
    "ddim": "DDIMScheduler",
    "pndm": "PNDMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler-a": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "dpm": "DPMSolverMultistepScheduler",
    "dpm++": "DPMSolverMultistepScheduler",
    "dpm++-sde": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "tcd": "TCDScheduler",
}
# What the name says beyond the class.
FIXED = {
    "dpm": {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"},
    "dpm++": {"algorithm_type": "dpmsolver++"},
    "dpm++-sde": {"algorithm_type": "sde-dpmsolver++"},
}


def fake_noise(k: int) -> torch.Tensor:
    j = np.arange(SIZE, dtype=np.float64)
    return torch.from_numpy((1.3 * np.sin(1.7 * k + 0.9 * j * j + 0.4)).astype(np.float32)).reshape(1, 1, 1, SIZE)


def fake_network(x: torch.Tensor, t: float) -> torch.Tensor:
    j = np.arange(SIZE, dtype=np.float64)
    v = x.numpy().astype(np.float64).reshape(-1)
    return torch.from_numpy((0.7 * np.sin(v + t / 300 + j) + 0.2 * np.cos(2 * j)).astype(np.float32)).reshape(x.shape)


def run(name, config, steps, options=None):
    options = dict(options or {})
    cls = getattr(diffusers, CLASSES[name])
    scheduler = cls(**{**config, **FIXED.get(name, {})})
    kwargs = {}
    if "originalInferenceSteps" in options:
        kwargs["original_inference_steps"] = options["originalInferenceSteps"]
    scheduler.set_timesteps(steps, **kwargs)
    timesteps = scheduler.timesteps
    strength = options.get("strength")
    if hasattr(scheduler, "set_begin_index"):  # else two equal timesteps at the start would skip one
        scheduler.set_begin_index(0)
    if strength is not None:  # as the video-to-video pipeline does
        start = max(steps - min(int(steps * strength), steps), 0)
        timesteps = timesteps[start * scheduler.order :]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(start * scheduler.order)

    noises = iter(range(1000))
    module = importlib.import_module(cls.__module__)
    eta = {"eta": options["eta"]} if "eta" in options else {}
    samples, x0s = [], []
    with contextlib.ExitStack() as stack:
        if hasattr(module, "randn_tensor"):
            original = module.randn_tensor
            module.randn_tensor = lambda shape, **_: fake_noise(next(noises))
            stack.callback(lambda: setattr(module, "randn_tensor", original))
        first = fake_noise(1000)
        if strength is None:
            x = first * scheduler.init_noise_sigma
            add_noise = None
        else:
            one, zero = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
            add_noise = [
                scheduler.add_noise(one, zero, timesteps[:1]).item(),
                scheduler.add_noise(zero, one, timesteps[:1]).item(),
            ]
            x = scheduler.add_noise(fake_noise(1001), first, timesteps[:1])
        for t in timesteps:
            model_input = scheduler.scale_model_input(x, t)
            out = scheduler.step(fake_network(model_input, t.item()), t, x, **eta)
            x = out.prev_sample
            estimate = getattr(out, "denoised", getattr(out, "pred_original_sample", None))
            samples.append(x.flatten().tolist())
            x0s.append(None if estimate is None else estimate.flatten().tolist())
    keep = range(len(samples)) if len(samples) <= 6 else [0, 1, 2, len(samples) - 2, len(samples) - 1]
    sig = lambda v: [float(f"{e:.9g}") for e in v]
    return {
        "name": name,
        "config": config,
        "steps": steps,
        "options": options,
        "timesteps": sig(timesteps.tolist()),
        "initNoiseSigma": float(scheduler.init_noise_sigma),
        "maxSigma": float(((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).max() ** 0.5)
        if scheduler.alphas_cumprod.min() > 0
        else None,
        "addNoise": add_noise,
        "samples": {str(i): sig(samples[i]) for i in keep},
        "x0": {str(i): sig(x0s[i]) for i in keep if x0s[i] is not None},
    }


cases = []


def case(*args, **kwargs):
    cases.append(run(*args, **kwargs))


PREDICTIONS = ("epsilon", "v_prediction", "sample")
for n in (1, 2, 3, 4, 5, 6, 8, 12, 50):
    case("lcm", LINEAR, n)
for n in (4, 8):
    for original in (100, 200):
        case("lcm", {**LINEAR, "beta_end": 0.014, "original_inference_steps": original}, n)
    for original in (25, 1000):
        case("lcm", LINEAR, n, {"originalInferenceSteps": original})
for n, strength in ((4, 0.5), (4, 0.75), (6, 0.8), (8, 0.5), (10, 0.8)):
    case("lcm", LINEAR, n, {"strength": strength})
for prediction in PREDICTIONS:
    case("lcm", {**SD15, "prediction_type": prediction, "timestep_scaling": 5.0}, 4)
case("lcm", {"beta_schedule": "squaredcos_cap_v2"}, 4)
case("lcm", {**SD15, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True}, 4)

DDIM = {**LINEAR, "clip_sample": False}
for n in (1, 2, 4, 7, 20, 50):
    for spacing in ("leading", "linspace", "trailing"):
        case("ddim", {**DDIM, "timestep_spacing": spacing, "steps_offset": 1, "set_alpha_to_one": False}, n)
for eta in (0.0, 0.3, 1.0):
    case("ddim", DDIM, 5, {"eta": eta})
    case("ddim", {**DDIM, "prediction_type": "v_prediction"}, 5, {"eta": eta})
for prediction in PREDICTIONS:
    case("ddim", {**DDIM, "prediction_type": prediction, "beta_schedule": "scaled_linear"}, 6)
case("ddim", {"beta_schedule": "squaredcos_cap_v2", "clip_sample": False}, 6)
case("ddim", {"clip_sample": False, "num_train_timesteps": 500}, 6)
case("ddim", {**DDIM, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}, 4)
for strength in (0.3, 0.8):
    case("ddim", DDIM, 10, {"strength": strength})

STEPS = (1, 2, 3, 4, 5, 8, 14, 15, 20, 50)
SPACINGS = ("leading", "linspace", "trailing")
for name in ("euler", "euler-a", "heun", "dpm", "dpm++", "dpm++-sde", "unipc"):
    for n in STEPS:
        case(name, LINEAR, n)
    for spacing in SPACINGS:
        for n in (4, 7):
            case(name, {**SD15, "timestep_spacing": spacing, "steps_offset": 1}, n)
    for prediction in PREDICTIONS if name != "euler-a" else PREDICTIONS[:2]:
        case(name, {**SD15, "prediction_type": prediction}, 6)
    for strength in (0.4, 0.8):
        case(name, LINEAR, 10, {"strength": strength})
    case(name, {"beta_schedule": "squaredcos_cap_v2"}, 5)
    if name != "heun":
        case(name, {**SD15, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}, 5)
    if name != "euler-a":
        for n in (1, 2, 4, 11):
            case(name, {**SD15, "use_karras_sigmas": True}, n)
    if name in ("euler", "dpm++", "dpm++-sde", "unipc"):
        case(name, {**LINEAR, "final_sigmas_type": "sigma_min"}, 5)
        if name != "euler":
            case(name, {**LINEAR, "final_sigmas_type": "sigma_min", "use_karras_sigmas": True}, 5)

for name in ("dpm", "dpm++", "dpm++-sde"):
    for order in (1, 2, 3):
        for n in (3, 6, 20):
            case(name, {**SD15, "solver_order": order}, n)
    for config in (
        {"solver_type": "heun"},
        {"solver_type": "logrho"},
        {"lower_order_final": False},
        {"euler_at_final": True, "final_sigmas_type": "sigma_min", "lower_order_final": False},
        {"solver_order": 3, "prediction_type": "v_prediction"},
        {"beta_schedule": "squaredcos_cap_v2", "lambda_min_clipped": -5.1},
        {"beta_schedule": "squaredcos_cap_v2", "use_karras_sigmas": True},
    ):
        case(name, {**SD15, **config}, 6)
        case(name, {**SD15, **config}, 16)
for order in (1, 2, 3):
    for solver_type in ("bh1", "bh2", "midpoint"):
        for n in (3, 7):
            # diffusers' bh1 ends in 0·∞ at a final sigma of zero.
            final = {"final_sigmas_type": "sigma_min"} if solver_type == "bh1" else {}
            case("unipc", {**SD15, **final, "solver_order": order, "solver_type": solver_type}, n)
    for prediction in PREDICTIONS:
        final = {"final_sigmas_type": "sigma_min"}
        case("unipc", {**SD15, **final, "solver_order": order, "predict_x0": False, "prediction_type": prediction}, 6)
    case("unipc", {**SD15, "solver_order": order, "disable_corrector": [0, 2]}, 6)
case("unipc", {**SD15, "final_sigmas_type": "sigma_min", "lower_order_final": False, "solver_order": 3}, 6)

PLMS = {**SD15, "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1}
for n in STEPS:
    case("pndm", PLMS, n)
    case("pndm", {**LINEAR, "skip_prk_steps": True}, n)
    if n >= 4:
        case("pndm", LINEAR, n)
for spacing in SPACINGS:
    case("pndm", {**PLMS, "timestep_spacing": spacing}, 5)
for config in ({"prediction_type": "v_prediction"}, {"set_alpha_to_one": True}, {"beta_schedule": "squaredcos_cap_v2"}):
    for skip in (True, False):
        case("pndm", {**LINEAR, **config, "skip_prk_steps": skip}, 6)

for n in (1, 2, 4, 8, 50):
    case("tcd", SD15, n)
for eta in (0.0, 0.5, 1.0):
    for prediction in PREDICTIONS:
        case("tcd", {**LINEAR, "prediction_type": prediction}, 5, {"eta": eta})
case("tcd", LINEAR, 4, {"originalInferenceSteps": 20})
case("tcd", {**LINEAR, "original_inference_steps": 100}, 8, {"strength": 0.6})

schedules = []
for config in (
    LINEAR,
    SD15,
    {**LINEAR, "beta_end": 0.014},
    {"beta_schedule": "squaredcos_cap_v2"},
    {**SD15, "rescale_betas_zero_snr": True},
    {**LINEAR, "num_train_timesteps": 77},
    {"trained_betas": [0.1, 0.2, 0.3, 0.35], "num_train_timesteps": 4},
):
    s = diffusers.DDIMScheduler(**config)
    at = sorted({0, 1, 2, len(s.betas) // 2 - 1, len(s.betas) // 2, len(s.betas) - 2, len(s.betas) - 1, *range(9, len(s.betas), 50)})
    at = [i for i in at if 0 <= i < len(s.betas)]
    schedules.append({"config": config, "at": at, "alphasCumprod": [s.alphas_cumprod[i].item() for i in at]})

json.dump(
    {"diffusers": diffusers.__version__, "schedules": schedules, "cases": cases},
    open(HERE / "fixtures" / "schedulers.json", "w"),
    separators=(",", ":"),
    allow_nan=False,
)
print(len(cases), "cases")
