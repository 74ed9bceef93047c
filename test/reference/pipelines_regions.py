"""Regional prompts on fixtures/tiny-a → fixtures/pipelines-regions.safetensors; as pipelines.py.

diffusers has none: this is src/pipelines/control/regions.ts's formula once more, as an attention processor around the UNet's
attn2 layers. Masks are `<case>.in.mask.<i>` u8 [1 or f, H, W], for the i-th region.
"""

from contextlib import nullcontext

import torch
from diffusers.models.attention_processor import Attention

from common import FIXTURES, in_f64, relative, save
from pipelines import BLUE, RED, SMALL
from runner import Cases, load, run

STAR, NIGHT = "a yellow star", "the night over the water"
# A region: prompt, and a rectangle in fractions or "still" or "moving" for a mask.
CASES = {
    "left": dict(prompt=RED, regions=[(STAR, (0, 0, 0.5, 1))], regionBase=0.2, **SMALL),
    # Three that overlap, beside the cells' edges; latents 8 × 6 and 4 × 3.
    "overlap": dict(prompt=BLUE, regions=[(STAR, (0.1, 0.2, 0.6, 0.55)), (NIGHT, (0.45, 0, 0.55, 1)), (RED, (0, 0.5, 1, 0.5))], regionBase=0, seed=1, **SMALL),
    "guided": dict(prompt=RED, regions=[(STAR, (0.25, 0, 0.5, 1)), (NIGHT, "still")], regionBase=0.3, guidance=2, negative="bad", seed=2, motionNorm="frame", **SMALL),
    "moving": dict(prompt=BLUE, regions=[(STAR, "moving"), (NIGHT, (0, 0, 1, 0.5))], regionBase=0.1, seed=3, **SMALL),
    "travel": dict(prompt=RED, promptAt={"3": BLUE}, regions=[(STAR, (0.5, 0, 0.5, 1))], regionBase=0.2, guidance=1.5, negative="bad", seed=4, **SMALL),
}


def mask(kind: str, frames: int, h: int, w: int) -> torch.Tensor:
    """A soft disc, u8 `[1 or frames, h, w]`; "moving" goes from left to right."""
    n = frames if kind == "moving" else 1
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    cx = torch.linspace(0.2, 0.8, n)[:, None, None] * w if n > 1 else 0.6 * w
    distance = ((x - cx) ** 2 + (y - 0.5 * h) ** 2).sqrt()
    return ((1.2 - distance / (0.35 * h)).clamp(0, 1) * 255).round().to(torch.uint8).reshape(n, h, w)


def cells(size: int, n: int) -> torch.Tensor:
    """`[n, size]`: what part of each of n equal cells each of `size` equal pixels makes up."""
    starts = torch.arange(n, dtype=torch.float64)[:, None] * size / n
    pixels = torch.arange(size, dtype=torch.float64)[None]
    return ((torch.minimum(starts + size / n, pixels + 1) - torch.maximum(starts, pixels)).clamp(0) * n / size)


def cover(area, h: int, w: int) -> torch.Tensor:
    """How much of each cell a region covers, f64 `[1 or frames, h, w]`."""
    if isinstance(area, torch.Tensor):
        return cells(area.shape[1], h) @ (area.double() / 255) @ cells(area.shape[2], w).T
    x, y, width, height = area
    between = lambda n, a, b: ((torch.arange(n) + 1.0).double().clamp(max=b * n) - torch.arange(n).double().clamp(min=a * n)).clamp(0)
    return (between(h, y, y + height)[:, None] * between(w, x, x + width)[None])[None]


def shares(areas, base: float, h: int, w: int, frames: int) -> torch.Tensor:
    m = torch.stack([cover(a, h, w).expand(frames, h, w) for a in areas])
    return (1 - base) * m / m.sum(0).clamp(min=1)  # [regions, frames, h, w]


class Regional:
    """out = (1 − Σ s) · attend(prompt) + Σ s · attend(region), in the last `frames` entries of the batch."""

    def __init__(self, texts, areas, base, frames, size):
        self.texts, self.areas, self.base, self.frames, self.size = texts, areas, base, frames, size

    def __call__(self, attn: Attention, x, encoder_hidden_states=None, attention_mask=None, **_):
        n, positions, _ = x.shape
        h, w = next(s for s in ((-(-self.size[0] // 2**i), -(-self.size[1] // 2**i)) for i in range(8)) if s[0] * s[1] == positions)
        heads = lambda t: t.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        q = heads(attn.to_q(x))
        attend = lambda q, text: torch.nn.functional.scaled_dot_product_attention(q, heads(attn.to_k(text)), heads(attn.to_v(text))).transpose(1, 2).flatten(2)
        out = attend(q, encoder_hidden_states)
        s = shares(self.areas, self.base, h, w, self.frames).reshape(len(self.areas), self.frames, positions, 1).to(x.dtype)
        last = out[-self.frames :]
        mixed = (1 - s.sum(0)) * last
        for share, text in zip(s, self.texts):
            mixed = mixed + share * attend(q[-self.frames :], text.expand(self.frames, -1, -1))
        out = torch.cat([out[: n - self.frames], mixed])
        return attn.to_out[0](out)


def use(pipe, a: dict, areas) -> dict:
    """Puts the regions into the UNet; returns diffusers' further arguments."""
    with in_f64() if pipe.unet.dtype == torch.float64 else nullcontext():
        texts = [pipe.encode_prompt(p, "cpu", 1, False)[0] for p, _ in a["regions"]]
    factor = pipe.vae_scale_factor
    for name, layer in pipe.unet.named_modules():
        if name.endswith("attn2") and "motion_modules" not in name:
            layer.set_processor(Regional(texts, areas, a["regionBase"], a["frames"], (a["height"] // factor, a["width"] // factor)))
    if "promptAt" not in a:
        return {}
    # Prompt travel of diffusers' FreeNoise, with one window over the whole clip.
    return {"prompt": {0: a["prompt"], **{int(k): v for k, v in a["promptAt"].items()}}}


def main() -> None:
    cases = Cases()
    for name, a in CASES.items():
        pipe, exact = load("tiny-a"), load("tiny-a", dtype=torch.float64)
        areas = [mask(area, a["frames"], a["height"], a["width"]) if isinstance(area, str) else area for _, area in a["regions"]]
        without = run(load("tiny-a"), a)[0]
        for p in (pipe, exact):
            if "promptAt" in a:
                p.enable_free_noise(context_length=a["frames"], context_stride=1)
        more = {id(p): use(p, a, areas) for p in (pipe, exact)}
        kept = {**a, "regions": [{"prompt": p, **({} if isinstance(area, str) else {"area": area})} for p, area in a["regions"]]}
        noise = {"long": "free-noise", "context": a["frames"], "stride": 1} if "promptAt" in a else {}
        latents = cases.add(f"regions-{name}", pipe, exact, {"model": "tiny-a", **kept, **noise}, lambda p: more[id(p)])
        for i, area in enumerate(areas):
            if isinstance(area, torch.Tensor):
                cases.tensors[f"regions-{name}.in.mask.{i}"] = area
        print(f"   changes the latents by {relative(without, latents):.3f}")
        assert relative(without, latents) > 0.03
    save(FIXTURES / "pipelines-regions.safetensors", cases.tensors, cases=cases.cases)


if __name__ == "__main__":
    main()
