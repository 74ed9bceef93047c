"""Whole AnimateDiffPipeline runs on fixtures/tiny-a and tiny-b → fixtures/pipelines.safetensors.

`<case>.latents` f32 [1, 4, f, h, w] before the VAE, `<case>.frames` u8 [f, H, W, 3]; the metadata's "cases" holds the
arguments in Kineograph's names and the relative L2 distance of the f32 latents from an f64 run. Also writes the LoRA.
"""

import sys

import torch
from safetensors.torch import load_file

import lora
from common import FIXTURES, relative, save
from runner import Cases, load, run

RED = "a red circle moving to the left"
BLUE = "Small blue star, moving slowly over the water at night!"
SMALL = dict(frames=5, width=32, height=24)  # latents 8 × 6 at tiny-a's factor 4
TINY_A = {
    "plain": dict(prompt=RED, frames=8, width=32, height=32),
    "default-frames": dict(prompt=BLUE, frames=16, width=32, height=32, seed=7),
    "guided": dict(prompt=RED, negative="bad blurry", guidance=1.5, seed=1, **SMALL),
    "original-100": dict(prompt=BLUE, originalSteps=100, seed=2, **SMALL),
    "frame-norm": dict(prompt=RED, motionNorm="frame", seed=3, **SMALL),
    "frame-norm-guided": dict(prompt=BLUE, negative="", guidance=2, motionNorm="frame", originalSteps=100, steps=6, seed=4, **SMALL),
    "tall": dict(prompt=BLUE, frames=7, width=16, height=48, seed=5),
    "one-frame": dict(prompt=RED, frames=1, width=48, height=32, seed=6),
    "steps-1": dict(prompt=RED, steps=1, **SMALL),
    "steps-2": dict(prompt=RED, steps=2, **SMALL),
    "steps-8": dict(prompt=RED, steps=8, seed=2**32 + 5, **SMALL),
    "ddim": dict(prompt=BLUE, negative="bad clip", scheduler="ddim", steps=10, guidance=3, seed=8, **SMALL),
    "clip-skip": dict(prompt=BLUE, negative="bad", guidance=1.5, clipSkip=1, seed=9, **SMALL),
    "long-prompt": dict(prompt=f"{RED} and {BLUE} " * 4, seed=10, **SMALL),
}
ODD = dict(frames=5, width=56, height=40)  # latents 7 × 5 at tiny-b's factor 8: odd at every level
TINY_B = {
    "plain": dict(prompt=RED, frames=8, width=48, height=48),
    "odd-guided": dict(prompt=BLUE, negative="bad blurry", guidance=1.5, seed=1, **ODD),
    "frame-norm": dict(prompt=RED, motionNorm="frame", originalSteps=100, seed=2, **ODD),
    "ddim": dict(prompt=RED, negative="night", scheduler="ddim", steps=10, guidance=3, seed=3, frames=4, width=32, height=48),
}
LORA = {
    "lora": dict(prompt=RED, seed=11, lora=[{"file": lora.FILE.name, "weight": 1}], **SMALL),
    "lora-half": dict(prompt=RED, seed=11, guidance=1.5, negative="bad", lora=[{"file": lora.FILE.name, "weight": 0.5}], **SMALL),
    "lora-alphas": dict(prompt=RED, seed=11, lora=[{"file": lora.ALPHAS_FILE.name, "weight": 1}], **SMALL),
}


def matters(model: str, pipe, a: dict, latents: torch.Tensor) -> None:
    """Prompt, motion modules and their norm must show in the result."""
    other_text = relative(run(pipe, {**a, "prompt": "the night"})[0], latents)
    other_norm = relative(run(pipe, {**a, "motionNorm": "frame"})[0], latents)
    motion = [m for n, m in pipe.unet.named_modules() if n.split(".")[-2:-1] == ["motion_modules"]]
    saved = [m.forward for m in motion]
    for m in motion:
        m.forward = lambda x, *_, **__: x
    still = relative(run(pipe, a)[0], latents)
    for m, forward in zip(motion, saved):
        m.forward = forward
    print(f"{model}: changes with another prompt {other_text:.3f}, another motion norm {other_norm:.3f}, without motion {still:.3f}")
    assert other_text > 0.02 and other_norm > 0.01 and still > 0.1


def main() -> None:
    cases = Cases()
    for model, list_ in (("tiny-a", TINY_A), ("tiny-b", TINY_B)):
        pipe, exact = load(model), load(model, dtype=torch.float64)
        for name, a in list_.items():
            latents = cases.add(f"{model}-{name}", pipe, exact, {"model": model, **a})
            if name == "plain":
                matters(model, pipe, a, latents)

    for name, a in LORA.items():
        pipe, exact, own = load("tiny-a"), load("tiny-a", dtype=torch.float64), load("tiny-a")
        file, weight = FIXTURES / a["lora"][0]["file"], a["lora"][0]["weight"]
        tensors = lora.write(pipe, file)
        lora.merge(own, tensors, weight)
        lora.merge(exact, tensors, weight)
        without = run(pipe, a)[0]
        if file == lora.FILE:
            pipe.load_lora_weights(load_file(file), adapter_name="tiny")
            pipe.set_adapters(["tiny"], [weight])
            pipe.fuse_lora()
            pipe.unload_lora_weights()
            expected = {n: p for m in (own.unet, own.text_encoder) for n, p in m.named_parameters()}
            worst = max(relative(p, expected[n]) for m in (pipe.unet, pipe.text_encoder) for n, p in m.named_parameters())
            assert worst < 1e-5, f"diffusers' fused weights are off W + alpha/rank·up·down by {worst:.1e}"
        latents = cases.add(f"tiny-a-{name}", own if file == lora.ALPHAS_FILE else pipe, exact, {"model": "tiny-a", **a})
        print(f"   the LoRA changes the latents by {relative(without, latents):.2f}")
        assert relative(without, latents) > 0.02

    save(FIXTURES / "pipelines.safetensors", cases.tensors, cases=cases.cases)


if __name__ == "__main__":
    sys.exit(main())
