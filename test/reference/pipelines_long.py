"""FreeNoise, prompt travel and FreeInit on fixtures/tiny-a → fixtures/pipelines-long.safetensors; as pipelines.py.

Of diffusers' FreeNoise, only clips whose last window is whole are kept: it scales the tail of others wrongly.
"""

import torch

from common import FIXTURES, save
from pipelines import BLUE, RED
from runner import Cases, load

SIZE = dict(width=32, height=24)
FREE_NOISE = {
    "free-noise": dict(prompt=RED, frames=16, context=8, stride=4, **SIZE),
    "free-noise-guided": dict(prompt=BLUE, negative="bad", guidance=1.5, frames=14, context=8, stride=2, seed=1, motionNorm="frame", **SIZE),
    # Longer than the 32 positions of the motion modules.
    "free-noise-long": dict(prompt=RED, frames=40, context=16, stride=8, seed=2, width=16, height=16),
    "prompt-travel": dict(prompt=RED, promptAt={"4": BLUE, "11": "the night"}, frames=16, context=8, stride=4, seed=3, **SIZE),
    "prompt-travel-guided": dict(prompt=BLUE, promptAt={"8": RED}, negative="bad", guidance=2, frames=16, context=16, stride=4, seed=4, **SIZE),
}
FREE_INIT = {
    "free-init": dict(prompt=RED, frames=8, freeInit=2, **SIZE),
    "free-init-gaussian": dict(prompt=RED, frames=6, freeInit=2, freeInitFilter="gaussian", steps=2, seed=2, width=16, height=16),
    "free-init-guided": dict(prompt=BLUE, frames=5, negative="bad", guidance=1.5, freeInit=3, steps=2, seed=1, **SIZE),
}

if __name__ == "__main__":
    cases = Cases()
    pair = lambda: tuple(load("tiny-a", dtype=d) for d in (torch.float32, torch.float64))
    for name, a in FREE_NOISE.items():
        pipe, exact = pair()
        for p in (pipe, exact):
            p.enable_free_noise(context_length=a["context"], context_stride=a["stride"])
        prompt = {0: a["prompt"], **{int(k): v for k, v in a.get("promptAt", {}).items()}}
        cases.add(name, pipe, exact, {"model": "tiny-a", "long": "free-noise", **a}, lambda _: {"prompt": prompt if len(prompt) > 1 else a["prompt"]})
    pipe, exact = pair()
    for name, a in FREE_INIT.items():
        for p in (pipe, exact):
            p.enable_free_init(num_iters=a["freeInit"], method=a.get("freeInitFilter", "butterworth"))
        cases.add(name, pipe, exact, {"model": "tiny-a", **a})
    save(FIXTURES / "pipelines-long.safetensors", cases.tensors, cases=cases.cases)
