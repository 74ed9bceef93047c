"""The networks of the shapes model and the helpers that every training stage shares."""
import json
import math
import os
import time
import warnings

import torch
import torch.nn as nn

import data as D

warnings.filterwarnings("ignore", message=".*should be kept in float32.*")

# ------------------------------------------------------------------ sizes
VAE_CFG = dict(
    in_channels=3, out_channels=3, latent_channels=4, sample_size=128, norm_num_groups=8, layers_per_block=1,
    block_out_channels=(16, 32, 64, 64),
    down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
UNET_CFG = dict(
    sample_size=16, in_channels=4, out_channels=4, block_out_channels=(64, 96, 128), layers_per_block=1,
    down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    cross_attention_dim=96, attention_head_dim=2, norm_num_groups=32)

# ------------------------------------------------------------------ noise schedule: AnimateLCM's linear betas
BETAS = torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64)
ABAR = torch.cumprod(1 - BETAS, 0).float()
ALPHA, SIGMA = ABAR.sqrt(), (1 - ABAR).sqrt()


def per_clip(v):
    """one number per clip, shaped to multiply (clip, channel, frame, height, width)"""
    return v.view(-1, 1, 1, 1, 1)


def noised(x, t, eps):
    return per_clip(ALPHA[t]) * x + per_clip(SIGMA[t]) * eps


# ------------------------------------------------------------------ constructors
def make_vae():
    from diffusers import AutoencoderKL
    return AutoencoderKL(**VAE_CFG)


def make_unet():
    from diffusers import UNet2DConditionModel
    return UNet2DConditionModel(**UNET_CFG)


def make_adapter():
    from diffusers import MotionAdapter
    m = MotionAdapter(
        block_out_channels=UNET_CFG["block_out_channels"], motion_layers_per_block=UNET_CFG["layers_per_block"],
        motion_mid_block_layers_per_block=1, motion_num_attention_heads=2, motion_norm_num_groups=32,
        motion_max_seq_length=64, use_motion_mid_block=True)
    for n, p in m.named_parameters():  # a new motion module adds nothing: the video model starts as the image model
        if ".proj_out." in n:
            nn.init.zeros_(p)
    return m


def make_video_unet(state=None):
    from diffusers import UNetMotionModel
    m = UNetMotionModel.from_unet2d(make_unet(), make_adapter())
    if state is not None:
        m.load_state_dict(state)
    return prepare(m)


def make_text(tok):
    from transformers import CLIPTextConfig, CLIPTextModel
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=len(tok), hidden_size=96, intermediate_size=384, projection_dim=96, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=77, hidden_act="quick_gelu", layer_norm_eps=1e-5,
        attention_dropout=0.0, bos_token_id=tok.bos_token_id, eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id, initializer_factor=1.0, attn_implementation="eager"))


# ------------------------------------------------------------------ tokenizer
def build_tokenizer(folder):
    """a CLIP byte-pair tokenizer whose merges make every caption word one token"""
    from transformers import CLIPTokenizer
    from transformers.models.clip.tokenization_clip import bytes_to_unicode
    alphabet = list(bytes_to_unicode().values())
    merges, rank = [], {}

    def bpe(word):
        parts = list(word[:-1]) + [word[-1] + "</w>"]
        while len(parts) > 1:
            r, i = min((rank.get((parts[i], parts[i + 1]), 1 << 30), i) for i in range(len(parts) - 1))
            if r == 1 << 30:
                break
            a, b = parts[i], parts[i + 1]
            out, j = [], 0
            while j < len(parts):
                if j < len(parts) - 1 and (parts[j], parts[j + 1]) == (a, b):
                    out.append(a + b)
                    j += 2
                else:
                    out.append(parts[j])
                    j += 1
            parts = out
        return parts

    for word in D.all_words():
        parts = bpe(word)
        while len(parts) > 1:
            rank[(parts[0], parts[1])] = len(merges)
            merges.append((parts[0], parts[1]))
            parts = bpe(word)
    vocab = alphabet + [c + "</w>" for c in alphabet] + ["".join(m) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/vocab.json", "w") as f:
        json.dump({t: i for i, t in enumerate(vocab)}, f, ensure_ascii=False)
    with open(f"{folder}/merges.txt", "w") as f:
        f.write("#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n")
    tok = CLIPTokenizer(f"{folder}/vocab.json", f"{folder}/merges.txt", model_max_length=77, pad_token="<|endoftext|>")
    assert all(len(tok(w).input_ids) == 3 for w in D.all_words())
    tok.save_pretrained(folder)
    return tok


_ids = {}


def tokens(tok, caps):
    for c in caps:
        if c not in _ids:
            _ids[c] = tok(c, padding="max_length", max_length=77, truncation=True).input_ids
    return torch.tensor([_ids[c] for c in caps])


# ------------------------------------------------------------------ speed and precision on a CPU
class SharedTextAttention:
    """Plain matmul attention, much faster on a CPU than the fused kernels at these sizes. The keys and values of
    the text are computed once a clip instead of once a frame: the text comes as (clips, 77, channels)."""

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None, *args, **kw):
        c = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = attn.to_q(hidden_states), attn.to_k(c), attn.to_v(c)
        b, n, ch = q.shape
        h = attn.heads
        d = ch // h
        q = q.view(k.shape[0], -1, h, d).transpose(1, 2) * d ** -0.5
        k = k.view(k.shape[0], -1, h, d).permute(0, 2, 3, 1)
        v = v.view(v.shape[0], -1, h, d).transpose(1, 2)
        o = torch.matmul(torch.matmul(q, k).softmax(-1), v)
        return attn.to_out[0](o.transpose(1, 2).reshape(b, n, ch))


class FrameNumbers:
    """lets a step use some of the 16 frames with the position code of their true numbers: set .idx to (clips, frames)"""
    idx = None

    @classmethod
    def attach(cls, m):
        for mod in m.modules():
            if type(mod).__name__ == "SinusoidalPositionalEmbedding":
                mod.forward = lambda x, mod=mod: x + (
                    mod.pe[:, :x.shape[1]] if cls.idx is None
                    else mod.pe[0][cls.idx].repeat_interleave(x.shape[0] // len(cls.idx), 0))


def prepare(m):
    """fast attention, true frame numbers, and the first and last convolution in f32: at t = 999 the noise
    prediction needs more digits than bf16 has"""
    m.set_attn_processor(SharedTextAttention())
    FrameNumbers.attach(m)
    for c in (m.conv_in, m.conv_out):
        f = c.forward

        def full_precision(x, f=f):
            with torch.autocast("cpu", enabled=False):
                return f(x.float())
        c.forward = full_precision
    return m


def bf16():
    return torch.autocast("cpu", dtype=torch.bfloat16)


# ------------------------------------------------------------------ losses
def object_weight(states, t, k):
    """Loss weight over the 16 x 16 latent: the few cells of the object count k times more where its place is already
    visible in the noise (fading out from t = 650 to 900, so that nothing about the place leaks through the loss)."""
    s = torch.as_tensor(states).float()
    g = (torch.arange(16).float() + 0.5) * 8
    near = lambda axis: (g.view(1, 16) - s[:, axis, None]).abs() < (1.25 * s[:, 2, None] + 5)
    m = (near(1)[:, :, None] & near(0)[:, None, :]).float()
    return 1 + (k - 1) * m * ((900 - t.float()) / 250).clamp(0, 1).view(-1, 1, 1)


class EMA:
    """a running average of the parameters, with a faster start"""

    def __init__(self, params, decay):
        self.params, self.decay, self.n = list(params), decay, 0
        self.shadow = [p.detach().clone() for p in self.params]

    @torch.no_grad()
    def update(self):
        self.n += 1
        d = min(self.decay, (1 + self.n) / (10 + self.n))
        torch._foreach_mul_(self.shadow, d)
        torch._foreach_add_(self.shadow, [p.detach() for p in self.params], alpha=1 - d)

    @torch.no_grad()
    def swap(self):
        for p, s in zip(self.params, self.shadow):
            t = p.detach().clone()
            p.copy_(s)
            s.copy_(t)


# ------------------------------------------------------------------ running
def log(*a):
    print(time.strftime("%H:%M:%S"), *a, flush=True)


def cosine(done, base, floor=0.04, flat=0.1):
    """learning rate after the share `done` of the run: flat, then half a cosine"""
    p = min(1.0, max(0.0, (done - flat) / (1 - flat)))
    return base * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * p)))


def save(obj, path):
    """a checkpoint is either the old or the new one, never half of one"""
    torch.save(obj, path + ".tmp")
    os.replace(path + ".tmp", path)
