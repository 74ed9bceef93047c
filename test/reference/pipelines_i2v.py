"""AnimateLCM-I2V on fixtures/tiny-a → fixtures/tiny-a-i2v/ and fixtures/pipelines-i2v.safetensors.

The encoder is written down here from the published description (G-U-N/AnimateLCM, models/adapter.py, unet_blocks.py): its maps are
added in each down block after the last layer's attention, before its motion module. The rest is diffusers with AnimateDiff's own
motion norm. `tiny-a-i2v/` has a MotionAdapter's config.json and motion modules under AnimateDiff's own names with `img_encoder.*`
beside them, without positions. As pipelines.py, with the picture as `<case>.in.image` u8 [H, W, 3] and the maps of frames 0 and 1 as
`<case>.features.<level>`, made of `<case>.z`. `<case>.bytes` are the frames cut off instead of rounded, as AnimateLCM's code has them
before it matches colours (OpenCV's part: colour-match.py). Windows are windows.py's.
"""

import json
import shutil

import torch
import torch.nn.functional as F
from diffusers import AnimateDiffPipeline, LCMScheduler, MotionAdapter
from torch import nn

from clips import clip, images
from common import FIXTURES, in_f64, motion_norm, randomise, relative, rounded, save
from contextlib import nullcontext
from pipelines import BLUE, RED, SMALL
from resample import cover_crop
from runner import load
from windows import within

FOLDER = FIXTURES / "tiny-a-i2v"
WIDTHS = (16, 40)
TINY = dict(frames=8, width=24, height=16)
CASES = {
    "plain": (dict(prompt=RED, **SMALL), (50, 36)),  # (arguments, size of the picture)
    "guided": (dict(prompt=BLUE, guidance=1.5, negative="bad", motionScale=0.3, seed=1, **SMALL), (31, 57)),
    "odd": (dict(prompt=RED, motionScale=1.2, seed=2, steps=2, frames=3, width=40, height=24), (40, 24)),
    "long": (dict(prompt=BLUE, seed=3, steps=2, frames=32, width=16, height=16), (16, 16)),
    "window": (dict(prompt=RED, seed=4, guidance=1.5, long="window", context=4, stride=2, **TINY), (30, 20)),
    "free-noise": (dict(prompt=BLUE, seed=5, guidance=1.5, long="free-noise", context=4, stride=2, **TINY), (24, 40)),
}


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, down: bool):
        super().__init__()
        self.down = down
        self.in_conv = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None
        self.block1 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.block2 = nn.Conv2d(outputs, outputs, 1)

    def forward(self, x):
        if self.down:
            h, w = x.shape[-2:]
            x = F.avg_pool2d(F.pad(x, (0, w % 2, 0, h % 2), mode="replicate"), 2)
        x = x if self.in_conv is None else self.in_conv(x)
        return x + self.block2(F.relu(self.block1(x)))


class Encoder(nn.Module):
    """Two blocks a level; positions of the frames are added after conv_in."""

    def __init__(self):
        super().__init__()
        self.conv_in = nn.Conv2d(4, WIDTHS[0], 3, padding=1)
        widths = (WIDTHS[0],) + WIDTHS
        self.body = nn.ModuleList(m for i, c in enumerate(WIDTHS) for m in (Block(widths[i], c, i > 0), Block(c, c, False)))

    def forward(self, z, frames: int, scale: float):
        d = WIDTHS[0]
        angles = torch.arange(frames, dtype=z.dtype)[:, None] * torch.exp(torch.arange(0, d, 2, dtype=z.dtype) * (-torch.log(torch.tensor(10000.0, dtype=z.dtype)) / d))
        positions = torch.stack([angles.sin(), angles.cos()], -1).flatten(1)
        x = self.conv_in(z.repeat(frames, 1, 1, 1)) + scale * positions[:, :, None, None]
        out = []
        for i, block in enumerate(self.body):
            x = block(x)
            if i % 2 == 1:
                out.append(x)
        return out


def original(name: str) -> list[str]:
    """AnimateDiff's names of a MotionAdapter's."""
    name = name.replace(".transformer_blocks", ".temporal_transformer.transformer_blocks") if ".transformer_blocks" in name else name
    for part in ("norm.", "proj_in", "proj_out"):
        name = name.replace(f"motion_modules.0.{part}", f"motion_modules.0.temporal_transformer.{part}")
    for old, new in (("attn1", "attention_blocks.0"), ("attn2", "attention_blocks.1"), (".norm1", ".norms.0"), (".norm2", ".norms.1"), (".norm3", ".ff_norm")):
        name = name.replace(old, new)
    return name


def build() -> Encoder:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    encoder = randomise(Encoder(), 800)
    for name, p in encoder.named_parameters():
        if name.startswith("body"):
            p.copy_(rounded(p * 0.5))
    adapter = MotionAdapter.from_pretrained(FIXTURES / "tiny-a" / "motion_adapter", torch_dtype=torch.float32)
    config = json.loads((FIXTURES / "tiny-a" / "motion_adapter" / "config.json").read_text())
    (FOLDER / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tensors = {original(k): v for k, v in adapter.state_dict().items() if not k.endswith("pos_embed.pe")}
    tensors |= {f"img_encoder.{k}": v for k, v in encoder.state_dict().items()}
    save(FOLDER / "diffusion_pytorch_model.safetensors", tensors, half=("motion_modules", "img_encoder"))
    return encoder


def run(pipe, encoder, a: dict, picture, dtype):
    """(latents, bytes cut off, bytes rounded, maps, picture's latents): one generator gives the picture's latents, the first sample, the steps' noise."""
    a = dict(steps=4, guidance=1, seed=0, negative="", motionScale=0.8) | a
    pipe.disable_free_noise()
    if a.get("long") == "free-noise":
        pipe.enable_free_noise(context_length=a["context"], context_stride=a["stride"])
    pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config, beta_schedule="linear", beta_end=0.014, original_inference_steps=200)
    generator = torch.Generator("cpu").manual_seed(a["seed"])
    pixels = torch.from_numpy(__import__("numpy").array(cover_crop(picture, a["width"], a["height"]))).permute(2, 0, 1)[None]
    x = (pixels.to(torch.float32) / 255).to(dtype) * 2 - 1
    with in_f64() if dtype == torch.float64 else nullcontext():
        z = pipe.vae.encode(x).latent_dist.sample(generator) * pipe.vae.config.scaling_factor
        maps = encoder.to(dtype)(z, a["frames"], a["motionScale"])
        hooks = []
        for block, m in zip(pipe.unet.down_blocks, maps):
            def add(_module, args, kwargs, m=m):
                m = m if getattr(pipe.unet, "window", None) is None else m[pipe.unet.window]
                n = args[0].shape[0] // m.shape[0]
                return (args[0] + m.repeat(n, 1, 1, 1), *args[1:]), kwargs
            hooks.append(block.motion_modules[-1].register_forward_pre_hook(add, with_kwargs=True))
        latents = []
        keep = lambda _p, _s, _t, v: latents.append(v["latents"].clone()) or {}
        with motion_norm(pipe.unet, "frame"):
            out = within(pipe, a)(
                prompt=a["prompt"], negative_prompt=a["negative"], num_inference_steps=a["steps"], guidance_scale=a["guidance"], num_frames=a["frames"],
                width=a["width"], height=a["height"], generator=generator, output_type="np", callback_on_step_end=keep,
            ).frames[0]
        for hook in hooks:
            hook.remove()
    return latents[-1], torch.from_numpy((out * 255).astype("uint8")), torch.from_numpy((out * 255).round().astype("uint8")), maps, z


def main() -> None:
    encoder = build()
    pipes = []
    for dtype in (torch.float32, torch.float64):
        pipe = load("tiny-a", AnimateDiffPipeline, torch.float32)
        for module in pipe.unet.modules():  # AnimateLCM's file stores no positions: sinusoids, not tiny-a's f16-rounded ones
            if hasattr(module, "pe"):
                d, n = module.pe.shape[2], module.pe.shape[1]
                angles = torch.arange(n, dtype=torch.float64)[:, None] * torch.exp(torch.arange(0, d, 2, dtype=torch.float64) * (-torch.log(torch.tensor(10000.0, dtype=torch.float64)) / d))
                module.pe.copy_(torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[None].float())
        pipes.append(pipe.to(dtype))
    tensors, cases = {}, {}
    for i, (name, (a, (w, h))) in enumerate(CASES.items()):
        picture = images(clip(1, w, h, i))[0]
        latents, cut, whole, maps, z = run(pipes[0], encoder, a, picture, torch.float32)
        exact = run(pipes[1], encoder, a, picture, torch.float64)
        key = f"i2v-{name}"
        still = run(pipes[0], encoder, a | {"motionScale": 0}, picture, torch.float32)
        other = run(pipes[0], encoder, a, images(clip(1, w, h, i).flip(1))[0], torch.float32)
        print(f"{key}: f32 from f64 {relative(latents, exact[0]):.1e}, std {latents.std():.2f}, clipped {((cut == 0) | (cut == 255)).float().mean():.1%}; motion scale changes {relative(still[0], latents):.2f}, picture {relative(other[0], latents):.2f}")
        assert relative(still[0], latents) > 0.02 and relative(other[0], latents) > 0.02
        tensors |= {f"{key}.latents": latents, f"{key}.bytes": cut, f"{key}.frames": whole, f"{key}.z": z, f"{key}.in.image": clip(1, w, h, i)[0]}
        tensors |= {f"{key}.features.{k}": m[:2] for k, m in enumerate(maps)}
        cases[key] = {**a, "f32_from_f64": relative(latents, exact[0])}
    save(FIXTURES / "pipelines-i2v.safetensors", tensors, cases=cases)


if __name__ == "__main__":
    main()
