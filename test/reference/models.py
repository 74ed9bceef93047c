"""Builds the two small random Stable Diffusion folders, fixtures/tiny-a and fixtures/tiny-b, each with a MotionAdapter.

tiny-a has Stable Diffusion 1.5's choices in small; tiny-b takes the other turn wherever there is one. The weights are random;
then the UNet learns for a minute to predict noise, and the VAE's last layers are scaled, so that latents and pictures keep
natural sizes.
"""

import json
import shutil
from collections import Counter
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, DDIMScheduler, MotionAdapter, StableDiffusionPipeline, UNet2DConditionModel, UNetMotionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from transformers.models.clip.tokenization_clip import bytes_to_unicode

from common import FIXTURES, randn, randomise, rounded

SD15_SCHEDULER = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False, set_alpha_to_one=False)
WORDS = "a the of red blue green small big circle square star moving fast slowly to left right down up over water night and bad blurry clip shape".split()


@dataclass(frozen=True)
class Tiny:
    seed: int
    unet: dict
    motion: dict
    vae: dict
    text: dict
    merges: int
    pad: str


TINY = {
    "tiny-a": Tiny(
        seed=1,
        unet=dict(
            sample_size=8, block_out_channels=(16, 40), layers_per_block=1, cross_attention_dim=32, attention_head_dim=2, norm_num_groups=4,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        ),
        motion=dict(block_out_channels=(16, 40), motion_layers_per_block=1, motion_num_attention_heads=4, motion_norm_num_groups=4, motion_max_seq_length=32),
        vae=dict(block_out_channels=(8, 16, 16), layers_per_block=1, norm_num_groups=4, sample_size=32, latent_channels=4, scaling_factor=0.18215),
        text=dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=77, hidden_act="quick_gelu"),
        merges=60,
        pad="<|endoftext|>",
    ),
    "tiny-b": Tiny(
        seed=2,
        unet=dict(
            sample_size=6, block_out_channels=(12, 24, 32), layers_per_block=2, cross_attention_dim=24, attention_head_dim=(2, 3, 4), norm_num_groups=4,
            transformer_layers_per_block=(1, 2, 1), use_linear_projection=True,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        ),
        motion=dict(
            block_out_channels=(12, 24, 32), motion_layers_per_block=2, motion_num_attention_heads=2, motion_norm_num_groups=4, motion_max_seq_length=24,
            motion_transformer_layers_per_block=1, use_motion_mid_block=False,
        ),
        vae=dict(block_out_channels=(8, 8, 12, 16), layers_per_block=2, norm_num_groups=4, sample_size=48, latent_channels=4, scaling_factor=0.3),
        text=dict(hidden_size=24, intermediate_size=96, num_hidden_layers=3, num_attention_heads=3, max_position_embeddings=32, hidden_act="gelu"),
        merges=20,
        pad="!",
    ),
}


def tokenizer(folder, tiny: Tiny) -> CLIPTokenizer:
    """A CLIP tokenizer of all bytes and the first merges that byte-pair encoding finds in WORDS."""
    folder.mkdir(parents=True, exist_ok=True)
    symbols = list(bytes_to_unicode().values())
    words = Counter(tuple(w[:-1]) + (w[-1] + "</w>",) for w in WORDS)
    merges = []
    for _ in range(tiny.merges):
        pairs = Counter((a, b) for w, n in words.items() for a, b in zip(w, w[1:]) for _ in range(n))
        best = max(sorted(pairs), key=pairs.get)
        merges.append(best)
        joined = Counter()
        for word, n in words.items():
            out, i = [], 0
            while i < len(word):
                pair = word[i : i + 2] == best
                out.append("".join(best) if pair else word[i])
                i += 2 if pair else 1
            joined[tuple(out)] += n
        words = joined
    tokens = symbols + [s + "</w>" for s in symbols] + ["".join(m) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2"] + [" ".join(m) for m in merges]) + "\n")
    length = tiny.text["max_position_embeddings"]
    return CLIPTokenizer(folder / "vocab.json", folder / "merges.txt", pad_token=tiny.pad, model_max_length=length)


def smooth_latents(seed: int, n: int, frames: int, size: int) -> torch.Tensor:
    """Clips of low frequencies, unit variance, `[n, 4, frames, size, size]`."""
    coarse = randn(seed, n, 4, 3, 3, 3)
    x = torch.nn.functional.interpolate(coarse, (frames, size, size), mode="trilinear", align_corners=True)
    return x / x.std()


def train(unet: UNetMotionModel, seed: int, text: torch.Tensor, steps: int = 250) -> float:
    """A minute of learning to predict noise, so that samplers stay at natural sizes; returns the last mean squared errors."""
    frames, n = 6, 4
    bars = torch.cumprod(1 - torch.linspace(0.00085, 0.012, 1000), 0)
    g = torch.Generator().manual_seed(seed)
    errors = []
    with torch.enable_grad():
        optimiser = torch.optim.Adam(unet.parameters(), lr=4e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
        for i in range(steps):
            clean, noise = smooth_latents(seed + i, n, frames, 8), torch.randn(n, 4, frames, 8, 8, generator=g)
            t = torch.randint(100, 1000, (n,), generator=g)
            t[0] = 999
            bar = bars[t].reshape(n, 1, 1, 1, 1)
            x = bar.sqrt() * clean + (1 - bar).sqrt() * noise
            out = unet(x, t, encoder_hidden_states=text[torch.arange(n) % len(text)].repeat_interleave(frames, 0)).sample
            loss = (out - noise).pow(2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            errors.append(loss.item())
    for p in unet.parameters():
        p.copy_(rounded(p))
    return sum(errors[-20:]) / 20


def fit_vae(vae: AutoencoderKL, seed: int) -> None:
    """Scales the last layers: pictures of deviation 0.4, latents of deviation 1 after scaling, log-variances around −4."""
    scale = vae.config.scaling_factor
    z = smooth_latents(seed, 4, 1, 8)[:, :, 0]
    out = vae.decode(z / scale).sample
    conv = vae.decoder.conv_out
    conv.weight.copy_(rounded(conv.weight * 0.4 / out.std()))
    x = torch.tanh(torch.nn.functional.interpolate(randn(seed + 1, 4, 3, 6, 6), scale_factor=8, mode="bilinear"))
    h = vae.encoder(x)
    q = vae.quant_conv
    mean, logvar = q(h).chunk(2, 1)
    target = torch.cat([(1 / scale / mean.std()).expand(4), (0.5 / logvar.std()).expand(4)])
    q.weight.copy_(rounded(q.weight * target[:, None, None, None]))
    q.bias.copy_(rounded(torch.cat([torch.zeros(4), torch.full((4,), -4.0)]) + 0.1 * randn(seed + 2, 8)))


def build(folder, tiny: Tiny) -> None:
    """Writes a diffusers folder, with `motion_adapter/` in it."""
    shutil.rmtree(folder, ignore_errors=True)
    tok = tokenizer(folder / "tokenizer", tiny)
    ends = dict(bos_token_id=tok.bos_token_id, eos_token_id=tok.eos_token_id, pad_token_id=tok.pad_token_id)
    text = randomise(CLIPTextModel(CLIPTextConfig(vocab_size=len(tok), **ends, **tiny.text)), tiny.seed * 10)
    unet = randomise(UNet2DConditionModel(**tiny.unet), tiny.seed * 10 + 1)
    adapter = randomise(MotionAdapter(**tiny.motion), tiny.seed * 10 + 2)
    vae = randomise(AutoencoderKL(down_block_types=["DownEncoderBlock2D"] * len(tiny.vae["block_out_channels"]), up_block_types=["UpDecoderBlock2D"] * len(tiny.vae["block_out_channels"]), **tiny.vae), tiny.seed * 10 + 3)
    fit_vae(vae, tiny.seed * 1000)
    prompts = ["a red circle moving to the left", "blue star", "the night over water", ""]
    ids = tok(prompts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    both = UNetMotionModel.from_unet2d(unet, adapter)
    error = train(both, tiny.seed * 2000, text(ids).last_hidden_state)
    unet.load_state_dict({k: v for k, v in both.state_dict().items() if "motion_modules" not in k})
    adapter.load_state_dict({k: v for k, v in both.state_dict().items() if "motion_modules" in k})
    pipe = StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tok, unet=unet, scheduler=DDIMScheduler(**SD15_SCHEDULER), safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    pipe.to(torch.float16).save_pretrained(folder)
    adapter.half().save_pretrained(folder / "motion_adapter")
    sizes = {p.parent.name: p.stat().st_size for p in sorted(folder.rglob("*.safetensors"))}
    print(folder.name, sizes, "all:", sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()), f"noise left over: {error:.3f}")


if __name__ == "__main__":
    for name, tiny in TINY.items():
        build(FIXTURES / name, tiny)
