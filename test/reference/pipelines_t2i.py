"""T2I-Adapter: diffusers' T2IAdapter, by itself and on fixtures/tiny-b → tiny-b-t2i/, tiny-b-t2i-original.pth, pipelines-t2i.safetensors.

diffusers has no AnimateDiff pipeline with one. Its UNet2DConditionModel adds the maps to the last layer of each down block
(down_intrablock_additional_residuals), and so do the motion UNet's blocks, which its UNetMotionModel only never asks: `adapting`
asks them. As pipelines.py, with pictures as in pipelines_control.py. Networks by themselves: `<case>.weights.…`, `.in` u8
[f, H, W, 3], `.out.<level>`.
"""

import contextlib

import numpy as np
import torch
from diffusers import T2IAdapter

from clips import clip, images
from common import FIXTURES, check, randomise, relative, save
from pipelines import BLUE, ODD, RED
from runner import Cases, load, run

FOLDER = FIXTURES / "tiny-b-t2i"
CASES = {
    "plain": dict(prompt=RED, scale=1, factor=1, **ODD),
    "guided": dict(prompt=BLUE, scale=0.7, factor=1, guidance=1.5, negative="bad", seed=1, motionNorm="frame", **ODD),
    "part": dict(prompt=RED, scale=1.5, factor=0.5, seed=2, **ODD),
}
# Networks by themselves: a light one, and one that reads luminance and folds 4 × 4 pixels.
ALONE = {
    "light": dict(in_channels=3, channels=[8, 16], num_res_blocks=2, downscale_factor=8, adapter_type="light_adapter"),
    "grey": dict(in_channels=1, channels=[8, 12], num_res_blocks=1, downscale_factor=4, adapter_type="full_adapter"),
}


def pictures(frames: torch.Tensor, mode: str = "RGB") -> torch.Tensor:
    """As diffusers' StableDiffusionAdapterPipeline prepares them: f32 [f, c, H, W], 0 … 1."""
    x = np.stack([np.array(i.convert(mode)) for i in images(frames)]).astype(np.float32) / 255
    return torch.from_numpy(x[:, None] if mode == "L" else x.transpose(0, 3, 1, 2))


@contextlib.contextmanager
def adapting(unet, maps: list[torch.Tensor], scale: float, last: int):
    """The first `last` calls of the UNet get `scale · maps` at their down blocks."""
    calls, saved = [0], [b.forward for b in unet.down_blocks]

    def counted(*_):
        calls[0] += 1

    hook = unet.register_forward_pre_hook(counted)

    def wrap(block, forward, state):
        def run_block(hidden_states, *args, **kwargs):
            if calls[0] > last:
                return forward(hidden_states, *args, **kwargs)
            mine = (scale * state).repeat(hidden_states.shape[0] // state.shape[0], 1, 1, 1)
            if getattr(block, "has_cross_attention", False):
                return forward(hidden_states, *args, additional_residuals=mine, **kwargs)
            sample, skips = forward(hidden_states, *args, **kwargs)
            sample += mine  # the last skip too: it is the same tensor
            return sample, skips
        return run_block

    for block, forward, state in zip(unet.down_blocks, saved, maps):
        block.forward = wrap(block, forward, state)
    try:
        yield
    finally:
        hook.remove()
        for block, forward in zip(unet.down_blocks, saved):
            block.forward = forward


def original(state: dict[str, torch.Tensor], blocks: int) -> dict[str, torch.Tensor]:
    """A full adapter in TencentARC's names."""
    out = {}
    for name, x in state.items():
        parts = name.split(".")[1:]  # without "adapter"
        if parts[0] == "body":
            level = int(parts[1])
            index, rest = (level * blocks + int(parts[3]), parts[4:]) if parts[2] == "resnets" else (level * blocks, parts[2:])
            parts = ["body", str(index), *rest]
        out[".".join(parts)] = x.half()
    return out


def main() -> None:
    adapter = randomise(T2IAdapter(channels=[12, 24, 32], num_res_blocks=2), 700)
    adapter.half().save_pretrained(FOLDER)
    torch.save(original(adapter.state_dict(), 2), FIXTURES / "tiny-b-t2i-original.pth")
    cases = Cases()
    pipes = [load("tiny-b", dtype=d) for d in (torch.float32, torch.float64)]
    for i, (name, a) in enumerate(CASES.items()):
        frames = clip(a["frames"], a["width"], a["height"], i)
        maps = [T2IAdapter.from_pretrained(FOLDER).to(p.unet.dtype)(pictures(frames).to(p.unet.dtype)) for p in pipes]
        last = int(a.get("steps", 4) * a["factor"])
        without = run(pipes[0], a)[0]
        with adapting(pipes[0].unet, maps[0], a["scale"], last), adapting(pipes[1].unet, maps[1], a["scale"], last):
            latents = cases.add(f"t2i-{name}", *pipes, {"model": "tiny-b", "adapter": FOLDER.name, **a})
        cases.tensors[f"t2i-{name}.in.control"] = frames
        print(f"   changes the latents by {relative(without, latents):.2f}")
        assert relative(without, latents) > 0.05
    for i, (name, config) in enumerate(ALONE.items()):
        net, frames = randomise(T2IAdapter(**config), 710 + i), clip(2, 40, 24, i)
        cases.tensors |= {f"{name}.weights.{k}": v for k, v in net.state_dict().items()} | {f"{name}.in": frames}
        for level, y in enumerate(net(pictures(frames, "L" if config["in_channels"] == 1 else "RGB"))):
            cases.tensors[f"{name}.out.{level}"] = check(name, y)
    save(FIXTURES / "pipelines-t2i.safetensors", cases.tensors, half=(".weights.",), cases=cases.cases)


if __name__ == "__main__":
    main()
