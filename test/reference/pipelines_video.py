"""AnimateDiffVideoToVideoPipeline on fixtures/tiny-a → fixtures/pipelines-video.safetensors.

As pipelines.py, with the clip that each run starts from as `<case>.in.video` u8 [f, H, W, 3]. Windows are windows.py's.
"""

import contextlib

import torch
from diffusers import AnimateDiffVideoToVideoPipeline

from clips import clip, images
from common import FIXTURES, relative, save
from pipelines import BLUE, RED, SMALL
from runner import Cases, load, run
from windows import within

TINY = dict(frames=8, width=24, height=16)
CASES = {
    "plain": dict(prompt=RED, strength=0.8, **SMALL),
    "weak": dict(prompt=BLUE, strength=0.5, steps=6, seed=1, guidance=1.5, negative="bad", **SMALL),
    "full": dict(prompt=BLUE, strength=1, seed=2, **SMALL),
    "ddim": dict(prompt=RED, strength=0.6, scheduler="ddim", steps=10, guidance=3, seed=3, **SMALL),
    "enforced": dict(prompt=BLUE, strength=0.6, enforceSteps=True, steps=3, seed=5, **SMALL),  # the last 3 of int(3 / 0.6) steps
    "chunks": dict(prompt=RED, strength=0.75, seed=4, frames=18, width=16, height=24),  # encoded 16 frames at a time
    "free-init": dict(prompt=RED, strength=0.8, steps=6, freeInit=2, seed=6, **SMALL),  # 3 of 4 steps, then 2 of 3
    "free-init-guided": dict(prompt=BLUE, strength=0.75, steps=12, scheduler="ddim", freeInit=3, freeInitFilter="gaussian", guidance=2, negative="bad", seed=7, **SMALL),
    "free-init-enforced": dict(prompt=RED, strength=0.7, steps=4, enforceSteps=True, freeInit=2, seed=8, **SMALL),
    "free-noise": dict(prompt=BLUE, strength=0.6, long="free-noise", context=4, stride=2, guidance=1.5, seed=9, **TINY),
    "window": dict(prompt=RED, strength=0.6, long="window", context=4, stride=2, guidance=1.5, seed=10, **TINY),
}


@contextlib.contextmanager
def modes(pipe, a: dict):
    """FreeInit and FreeNoise, as the arguments say."""
    if "freeInit" in a:
        pipe.enable_free_init(num_iters=a["freeInit"], method=a.get("freeInitFilter", "butterworth"))
    if a.get("long") == "free-noise":
        pipe.enable_free_noise(context_length=a["context"], context_stride=a["stride"])
    try:
        yield
    finally:
        pipe.disable_free_init()
        pipe.disable_free_noise()


if __name__ == "__main__":
    cases = Cases()
    pipe, exact = (load("tiny-a", AnimateDiffVideoToVideoPipeline, dtype) for dtype in (torch.float32, torch.float64))
    exact.vae.register_to_config(force_upcast=False)  # else the encoder would run in f32
    for i, (name, a) in enumerate(CASES.items()):
        video = clip(a["frames"], a["width"], a["height"], i)
        enforced = a.get("enforceSteps", False)
        more = lambda _, v=video, s=a["strength"], e=enforced: dict(video=images(v), strength=s, enforce_inference_steps=e, num_frames=...)
        both = [within(p, a, lambda p, a=a: modes(p, a)) for p in (pipe, exact)]
        latents = cases.add(f"video-{name}", *both, {"model": "tiny-a", **a}, more)
        cases.tensors[f"video-{name}.in.video"] = video
        other = run(both[0], a, more(pipe) | {"video": images(video.flip(0))})[0]
        print(f"   another clip changes the latents by {relative(other, latents):.2f}")
        assert relative(other, latents) > (0.005 if "freeInit" in a else 0.02) or a["strength"] == 1
    save(FIXTURES / "pipelines-video.safetensors", cases.tensors, cases=cases.cases)
