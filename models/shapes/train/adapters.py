"""What the adapters of the shapes model are made of: the frozen AnimateLCM as it ships, the picture encoder of
AnimateLCM-I2V at toy size, a ControlNet, and the clips that both learn from.

    python adapters.py i2v        860 clips with freer places, sizes and travel than the model's own -> work/i2v.npz
    python adapters.py control    860 clips along free paths -> work/control.npz

Image to video, as a file (`motion-i2v/`): config.json is that of a diffusers MotionAdapter (heads cannot be read off the
tensors), diffusion_pytorch_model.safetensors is what AnimateLCM-I2V's checkpoint is: the motion modules under
AnimateDiff's own names (`down_blocks.0.motion_modules.0.temporal_transformer.…`, no stored position codes: 64
sinusoids) and beside them `img_encoder.conv_in`, `img_encoder.body.{0..5}.block{1,2}`, `img_encoder.body.{2,4}.in_conv`.
The motion modules normalise each frame by itself, as the official code does. Trained for the official defaults: betas
up to 0.014, motion scale 0.8, guidance 1.
"""
import argparse
import math
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import data as D
from nets import bf16, log, prepare

MODELS = os.environ.get("SHAPES", os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
CHANNELS = (64, 96, 128)


# ------------------------------------------------------------------ the frozen model, from the files that ship
def load_lora(path, modules):
    """kohya LoRA tensors as {module name: weight difference}"""
    from safetensors.torch import load_file
    q, out = load_file(path), {}
    names = {"lora_unet_" + n.replace(".", "_"): n for n in modules}
    for key in sorted({k.split(".")[0] for k in q}):
        down, up = q[key + ".lora_down.weight"].float(), q[key + ".lora_up.weight"].float()
        scale = float(q[key + ".alpha"]) / down.shape[0]
        shape = up.shape[:1] + down.shape[1:]
        out[names[key]] = scale * (up.flatten(1) @ down.flatten(1)).view(shape)
    return out


def frozen_lcm(per_frame_norm=False):
    """AnimateLCM as it ships: UNet, motion modules and LCM-LoRA merged, in f32, not trainable"""
    from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel
    m = UNetMotionModel.from_unet2d(
        UNet2DConditionModel.from_pretrained(f"{MODELS}/base/unet", torch_dtype=torch.float32),
        MotionAdapter.from_pretrained(f"{MODELS}/motion-lcm", torch_dtype=torch.float32))
    modules = dict(m.named_modules())
    with torch.no_grad():
        for n, w in load_lora(f"{MODELS}/lcm-lora.safetensors", modules).items():
            modules[n].weight += w
    if per_frame_norm:
        normalise_frames(m)
    return prepare(m).requires_grad_(False).eval()


def normalise_frames(m):
    """the GroupNorm of the motion modules over each frame by itself (AnimateDiff's own code), not over the clip (diffusers)"""
    for n, mod in m.named_modules():
        if "motion_modules" in n and isinstance(mod, nn.GroupNorm):
            def per_frame(x, f=mod.forward):  # [b, c, frames, h, w]
                b, c, k, h, w = x.shape
                return f(x.transpose(1, 2).reshape(b * k, c, h, w)).view(b, k, c, h, w).transpose(1, 2)
            mod.forward = per_frame


def base_parts():
    """tokenizer, text encoder and autoencoder that ship, in f32"""
    from diffusers import AutoencoderKL
    from transformers import CLIPTextModel, CLIPTokenizer
    tok = CLIPTokenizer.from_pretrained(f"{MODELS}/base/tokenizer")
    text = CLIPTextModel.from_pretrained(f"{MODELS}/base/text_encoder", torch_dtype=torch.float32)
    vae = AutoencoderKL.from_pretrained(f"{MODELS}/base/vae", torch_dtype=torch.float32)
    return tok, text.requires_grad_(False).eval(), vae.requires_grad_(False).eval()


# ------------------------------------------------------------------ picture encoder of AnimateLCM-I2V
class Block(nn.Module):
    def __init__(self, cin, cout, down):
        super().__init__()
        self.down = down
        if cin != cout:
            self.in_conv = nn.Conv2d(cin, cout, 1)
        self.block1, self.block2 = nn.Conv2d(cout, cout, 3, padding=1), nn.Conv2d(cout, cout, 1)

    def forward(self, x):
        if self.down:  # odd edges are repeated
            x = F.avg_pool2d(F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2), mode="replicate"), 2)
        if hasattr(self, "in_conv"):
            x = self.in_conv(x)
        return x + self.block2(F.relu(self.block1(x)))


class ImageEncoder(nn.Module):
    """latent of the picture [b, 4, h, w] and frame numbers [b, f] -> a feature map [b·f, c, h', w'] for each down block"""

    def __init__(self, channels=CHANNELS):
        super().__init__()
        self.conv_in = nn.Conv2d(4, channels[0], 3, padding=1)
        self.body = nn.ModuleList(
            Block(channels[max(0, i - (j == 0))], channels[i], i > 0 and j == 0)
            for i in range(len(channels)) for j in range(2))

    def forward(self, z, frames, motion_scale=0.8):
        c = self.conv_in.out_channels
        angle = frames.reshape(-1, 1) * torch.exp(torch.arange(0, c, 2) * (-math.log(10000.0) / c))
        code = torch.stack([angle.sin(), angle.cos()], -1).view(-1, c, 1, 1)
        x = self.conv_in(z).repeat_interleave(frames.shape[1], 0) + motion_scale * code
        out = []
        for i, block in enumerate(self.body):
            x = block(x)
            if i % 2:
                out.append(x)
        return out


class Injection:
    """adds .features once per down block, before its last motion module (and so into that layer's skip)"""
    features = None

    def __init__(self, unet):
        for i, block in enumerate(unet.down_blocks):
            block.motion_modules[-1].register_forward_pre_hook(
                lambda _, args, i=i: args if self.features is None else (args[0] + self.features[i],) + args[1:])


# ------------------------------------------------------------------ ControlNet
def make_controlnet():
    """a copy of the UNet's encoder half; the second block goes without the text, which a place does not need"""
    from diffusers import ControlNetModel
    from nets import UNET_CFG
    keys = ("in_channels", "block_out_channels", "layers_per_block", "cross_attention_dim", "attention_head_dim",
            "norm_num_groups")
    return ControlNetModel(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        conditioning_embedding_out_channels=(16, 16, 32, 64), **{k: UNET_CFG[k] for k in keys})


def blob(state):
    """the condition: a white disc where the object is, and as large, on black; [128, 128] in 0..1"""
    cx, cy, r = (float(v) for v in state)
    return np.clip(0.5 + r - np.hypot(D.XX - cx, D.YY - cy), 0, 1).astype(np.float32)


# ------------------------------------------------------------------ clips
def free_start(motion, rng):
    """a trajectory as the model's own, from a freer start: (16, 3) of cx, cy, r"""
    t = np.linspace(0, 1, D.FRAMES)
    if motion in ("growing", "shrinking"):
        a = rng.uniform(9, 14)
        r = a + (rng.uniform(2.0, 2.6) - 1) * a * t
        cx, cy = np.full(D.FRAMES, rng.uniform(44, 84)), np.full(D.FRAMES, rng.uniform(44, 80))
        return np.stack([cx, cy, r[::-1] if motion == "shrinking" else r], 1)
    along = 64 + rng.uniform(-8, 8) + rng.uniform(50, 66) * (t - 0.5)
    across = np.full(D.FRAMES, rng.uniform(38, 88))
    if motion in ("moving left", "moving up"):
        along = along[::-1]
    cx, cy = (along, across) if motion in ("moving left", "moving right") else (across, along)
    return np.stack([cx, cy, np.full(D.FRAMES, rng.uniform(14, 23))], 1)


def free_path(rng):
    """an object anywhere on a line, an arc, a wave or a zigzag, its size steady or changing: (16, 3) of cx, cy, r"""
    t = np.linspace(0, 1, D.FRAMES)
    kind, turn, length = rng.randint(4), rng.uniform(0, 2 * np.pi), rng.uniform(30, 76)
    if kind == 0:
        x, y = length * (t - 0.5), 0 * t
    elif kind == 1:
        a = np.sign(rng.uniform(-1, 1)) * rng.uniform(0.5, 1.0) * 2 * np.pi * t
        x, y = length / 3 * np.cos(a), length / 3 * np.sin(a)
    elif kind == 2:
        x, y = length * (t - 0.5), rng.uniform(8, 20) * np.sin(2 * np.pi * rng.uniform(0.5, 1.5) * t)
    else:
        x, y = length * (t - 0.5), rng.uniform(8, 20) * (2 * np.abs(2 * ((rng.uniform(1, 1.5) * t) % 1) - 1) - 1)
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    r0, r1 = rng.uniform(13, 22, 2) if rng.rand() < 0.4 else [rng.uniform(13, 22)] * 2
    r = r0 + (r1 - r0) * t
    m = 1.1 * r.max() + 2  # the whole path stays inside the picture
    place = [v + rng.uniform(m - v.min(), max(128 - m - v.max(), m - v.min() + 0.1)) for v in (x, y)]
    return np.stack([*place, r], 1)


def render(combo, states):
    """(frames, 128, 128, 3) uint8"""
    return np.stack([D.frame(combo, s) for s in states])


def encode(vae, v):
    """latents (frames, 4, 16, 16) of uint8 frames, scaled"""
    x = torch.from_numpy(v).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode(), bf16():
        z = vae.encode(x.contiguous(memory_format=torch.channels_last)).latent_dist.mean
    return z.float() * vae.config.scaling_factor


def adapter_clip(kind, i):
    """clip i of the adapters' training data: combination and trajectory. Held-out combinations are never among them;
    a quarter of the control clips move as a motion word says."""
    rng = np.random.RandomState({"i2v": 30_000_000, "control": 31_000_000}[kind] + i)
    combo = D.train_combos(7)[i % len(D.TRAIN)]
    if kind == "i2v":
        return combo, free_start(combo[2], rng)
    return combo, D.trajectory(combo[2], rng) if i % 4 == 0 else free_path(rng)


def clips(a):
    vae = base_parts()[2].to(memory_format=torch.channels_last)
    x, states = [], []
    for i in range(a.n):
        combo, s = adapter_clip(a.kind, i)
        x.append(encode(vae, render(combo, s)).half().numpy())
        states.append(s.astype(np.float32))
        if (i + 1) % 100 == 0 or i + 1 == a.n:
            np.savez(f"{a.work}/{a.kind}.npz", x=np.stack(x), states=np.stack(states))
            log(a.kind, "clips", i + 1)


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("kind", choices=["i2v", "control"])
    ap.add_argument("--work", default="work")
    ap.add_argument("--n", type=int, default=len(D.TRAIN))
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    os.makedirs(a.work, exist_ok=True)
    torch.set_num_threads(a.threads)
    clips(a)
