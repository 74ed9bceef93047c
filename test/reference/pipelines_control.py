"""AnimateDiffControlNetPipeline on fixtures/tiny-a → fixtures/tiny-a-controlnet/ and fixtures/pipelines-control.safetensors.

As pipelines.py, with the pictures that control as `<case>.in.control` u8 [f, H, W, 3] (`.in.control.1` for a second network).
The two networks of "two" are the same folder with other pictures. The convolutions that diffusers starts at zero are random.

Guess mode under guidance fails in diffusers' AnimateDiff pipeline (it adds the conditional half's maps to both); here zeros stand for the
unconditional half, as in its StableDiffusionControlNetPipeline. Windows are those of windows.py.
"""

import contextlib

import torch
from diffusers import AnimateDiffControlNetPipeline, ControlNetModel

from clips import clip, images
from common import FIXTURES, randomise, relative, save
from pipelines import BLUE, RED, SMALL
from runner import Cases, load, run
from windows import starts

FOLDER = FIXTURES / "tiny-a-controlnet"
# One entry a network: scale, and the part of the steps in which it acts.
CASES = {
    "plain": dict(prompt=RED, control=[dict(scale=1, start=0, end=1)], **SMALL),
    "guided": dict(prompt=BLUE, control=[dict(scale=0.6, start=0, end=1)], guidance=1.5, negative="bad", seed=1, **SMALL),
    "part": dict(prompt=RED, control=[dict(scale=1.5, start=0.2, end=0.8)], steps=6, seed=2, motionNorm="frame", **SMALL),
    "two": dict(prompt=BLUE, control=[dict(scale=0.5, start=0, end=1), dict(scale=0.8, start=0, end=0.5)], seed=3, **SMALL),
    "guess": dict(prompt=RED, guess=True, control=[dict(scale=0.9, start=0, end=1)], seed=4, **SMALL),
    "guess-guided": dict(prompt="", guess=True, control=[dict(scale=1.2, start=0, end=1)], guidance=2, negative="bad", seed=5, **SMALL),
    # More frames than are looked at at once.
    "many": dict(prompt=BLUE, control=[dict(scale=0.8, start=0, end=1)], guidance=1.5, negative="bad", seed=6, steps=2, frames=19, width=16, height=16),
    "windows": dict(prompt=RED, control=[dict(scale=0.7, start=0, end=1), dict(scale=0.5, start=0, end=0.5)], long="window", context=4, stride=2, guidance=1.5, negative="bad", seed=7, steps=2, frames=7, width=32, height=24),
    "travel": dict(prompt=RED, promptAt={"3": BLUE}, control=[dict(scale=0.8, start=0, end=1)], long="free-noise", context=5, stride=1, guidance=1.5, negative="bad", seed=8, **SMALL),
}


def build() -> None:
    config = dict(
        block_out_channels=(16, 40), layers_per_block=1, cross_attention_dim=32, attention_head_dim=2, norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), conditioning_embedding_out_channels=(8, 8, 12),
    )
    net = randomise(ControlNetModel(**config), 500)
    # What the network adds stays moderate, and the pictures count in it.
    for name, p in net.named_parameters():
        if name.startswith(("controlnet_down_blocks", "controlnet_mid_block")):
            p.mul_(0.25)
        elif name.startswith("controlnet_cond_embedding"):
            p.mul_(2.5)
    net.half().save_pretrained(FOLDER)


@contextlib.contextmanager
def guessing(pipe, a: dict):
    """Zeros for the unconditional half, which diffusers' pipeline leaves out."""
    forward = pipe.controlnet.forward

    def both(*args, **kwargs):
        down, mid = forward(*args, **kwargs)
        return [torch.cat([torch.zeros_like(d), d]) for d in down], torch.cat([torch.zeros_like(mid), mid])

    if a.get("guess") and a.get("guidance", 1) > 1:
        pipe.controlnet.forward = both
    try:
        yield
    finally:
        pipe.controlnet.forward = forward


@contextlib.contextmanager
def windowed(pipe, context: int, stride: int):
    """Evaluates UNet and ControlNets in windows of frames, whose predictions are blended by a pyramid."""
    unet, control = pipe.unet, pipe.controlnet
    unet_forward, control_forward = unet.forward, control.forward
    waiting: list = []
    weights = torch.tensor([min(i, context - 1 - i) + 1.0 for i in range(context)], dtype=unet.dtype)

    def wait(*args, **kwargs):  # until the UNet is evaluated
        waiting[:] = [args, kwargs]
        return [None], None

    def evaluate(sample, timestep, encoder_hidden_states, **kwargs):
        b, _, f = sample.shape[:3]
        total, sums = torch.zeros_like(sample), torch.zeros(f, dtype=unet.dtype)
        of = lambda x, s: x.reshape(b, f, *x.shape[1:])[:, s].flatten(0, 1)
        kwargs = {k: v for k, v in kwargs.items() if "additional_residual" not in k}
        for start in starts(f, context, stride):
            s = slice(start, start + context)
            (x, t), w = waiting
            pictures = w["controlnet_cond"]
            pictures = [of(p, s) for p in pictures] if isinstance(pictures, list) else of(pictures, s)
            text = of(encoder_hidden_states, s)
            down, mid = control_forward(of(x, s), t, **{**w, "controlnet_cond": pictures, "encoder_hidden_states": text})
            more = dict(down_block_additional_residuals=down, mid_block_additional_residual=mid)
            total[:, :, s] += unet_forward(sample[:, :, s], timestep, encoder_hidden_states=text, **more, **kwargs).sample * weights.view(1, 1, -1, 1, 1)
            sums[s] += weights
        return type("Out", (), {"sample": total / sums.view(1, 1, -1, 1, 1)})()

    unet.forward, control.forward = evaluate, wait
    try:
        yield
    finally:
        unet.forward, control.forward = unet_forward, control_forward


def main() -> None:
    build()
    cases = Cases()
    for i, (name, a) in enumerate(CASES.items()):
        n, pipes = len(a["control"]), []
        for dtype in (torch.float32, torch.float64):
            nets = [ControlNetModel.from_pretrained(FOLDER, torch_dtype=torch.float32) for _ in range(n)]
            pipes.append(load("tiny-a", AnimateDiffControlNetPipeline, dtype, controlnet=nets[0] if n == 1 else nets))
        pictures = [clip(a["frames"], a["width"], a["height"], 3 * i + k) for k in range(n)]
        one = lambda values: values[0] if n == 1 else values
        more = lambda _: dict(
            conditioning_frames=one([images(p) for p in pictures]),
            controlnet_conditioning_scale=one([float(c["scale"]) for c in a["control"]]),
            control_guidance_start=one([float(c["start"]) for c in a["control"]]),
            control_guidance_end=one([float(c["end"]) for c in a["control"]]),
            guess_mode=a.get("guess", False),
            **({"prompt": {0: a["prompt"], **{int(k): v for k, v in a["promptAt"].items()}}} if "promptAt" in a else {}),
        )
        stack = contextlib.ExitStack()
        for p in pipes:
            if a.get("long") == "free-noise":
                p.enable_free_noise(context_length=a["context"], context_stride=a["stride"])
            stack.enter_context(guessing(p, a) if a.get("long") != "window" else windowed(p, a["context"], a["stride"]))
        latents = cases.add(f"control-{name}", *pipes, {"model": "tiny-a", "controlnet": FOLDER.name, **a}, more)
        for k, p in enumerate(pictures):
            cases.tensors[f"control-{name}.in.control" + (f".{k}" if k else "")] = p
        without = run(pipes[0], a, more(0) | {"controlnet_conditioning_scale": one([0.0] * n)})[0]
        other = run(pipes[0], a, more(0) | {"conditioning_frames": one([images(p.flip(2)) for p in pictures])})[0]
        print(f"   changes the latents by {relative(without, latents):.2f}; other pictures by {relative(other, latents):.3f}")
        assert relative(without, latents) > 0.05 and relative(other, latents) > 0.01
        stack.close()
    save(FIXTURES / "pipelines-control.safetensors", cases.tensors, cases=cases.cases)


if __name__ == "__main__":
    main()
