"""AnimateDiffControlNetPipeline on fixtures/tiny-a → fixtures/tiny-a-controlnet/ and fixtures/pipelines-control.safetensors.

As pipelines.py, with the pictures that control as `<case>.in.control` u8 [f, H, W, 3] (`.in.control.1` for a second network).
The two networks of "two" are the same folder with other pictures. The convolutions that diffusers starts at zero are random.
"""

import torch
from diffusers import AnimateDiffControlNetPipeline, ControlNetModel

from clips import clip, images
from common import FIXTURES, randomise, relative, save
from pipelines import BLUE, RED, SMALL
from runner import Cases, load, run

FOLDER = FIXTURES / "tiny-a-controlnet"
# One entry a network: scale, and the part of the steps in which it acts.
CASES = {
    "plain": dict(prompt=RED, control=[dict(scale=1, start=0, end=1)], **SMALL),
    "guided": dict(prompt=BLUE, control=[dict(scale=0.6, start=0, end=1)], guidance=1.5, negative="bad", seed=1, **SMALL),
    "part": dict(prompt=RED, control=[dict(scale=1.5, start=0.2, end=0.8)], steps=6, seed=2, motionNorm="frame", **SMALL),
    "two": dict(prompt=BLUE, control=[dict(scale=0.5, start=0, end=1), dict(scale=0.8, start=0, end=0.5)], seed=3, **SMALL),
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
        )
        latents = cases.add(f"control-{name}", *pipes, {"model": "tiny-a", "controlnet": FOLDER.name, **a}, more)
        for k, p in enumerate(pictures):
            cases.tensors[f"control-{name}.in.control" + (f".{k}" if k else "")] = p
        without = run(pipes[0], a, more(0) | {"controlnet_conditioning_scale": one([0.0] * n)})[0]
        other = run(pipes[0], a, more(0) | {"conditioning_frames": one([images(p.flip(2)) for p in pictures])})[0]
        print(f"   changes the latents by {relative(without, latents):.2f}; other pictures by {relative(other, latents):.3f}")
        assert relative(without, latents) > 0.05 and relative(other, latents) > 0.01
    save(FIXTURES / "pipelines-control.safetensors", cases.tensors, cases=cases.cases)


if __name__ == "__main__":
    main()
