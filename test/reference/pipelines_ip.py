"""IP-Adapter on fixtures/tiny-a → fixtures/tiny-a-ip-encoder/, tiny-a-ip-adapter.safetensors, pipelines-ip.safetensors.

The encoder is a small CLIP vision model with projection, the adapter the base kind (one linear layer to 4 tokens). As
pipelines.py, with the picture as `<case>.in.image` u8 [H, W, 3], what the image processor makes of it as `<case>.in.pixels`
f32 [1, 3, 32, 32], and the encoder's `<case>.embedding` f32 [1, 24].
"""

import torch
from safetensors.torch import load_file
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from clips import clip, images
from common import FIXTURES, randn, randomise, relative, save
from pipelines import BLUE, RED, SMALL
from runner import Cases, load, run

ENCODER = FIXTURES / "tiny-a-ip-encoder"
ADAPTER = FIXTURES / "tiny-a-ip-adapter.safetensors"
SIDE, WIDTH, TOKENS, TEXT = 32, 24, 4, 32
CASES = {
    "plain": (dict(prompt=RED, ipScale=1, **SMALL), (32, 32)),  # (arguments, size of the picture)
    "guided": (dict(prompt=BLUE, ipScale=0.6, guidance=1.5, negative="bad", seed=1, **SMALL), (50, 36)),
    "large": (dict(prompt="", ipScale=0.8, seed=2, motionNorm="frame", **SMALL), (61, 90)),
}


def build(unet) -> None:
    config = CLIPVisionConfig(hidden_size=32, intermediate_size=64, projection_dim=WIDTH, num_hidden_layers=3, num_attention_heads=2, image_size=SIDE, patch_size=8, hidden_act="quick_gelu")
    encoder = randomise(CLIPVisionModelWithProjection(config), 600)
    encoder.half().save_pretrained(ENCODER)
    CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}).save_pretrained(ENCODER)
    tensors = {
        "image_proj.proj.weight": randn(601, TOKENS * TEXT, WIDTH, scale=WIDTH**-0.5),
        "image_proj.proj.bias": randn(602, TOKENS * TEXT, scale=0.3),
        "image_proj.norm.weight": (1 + 0.2 * randn(603, TEXT)).half().float(),
        "image_proj.norm.bias": randn(604, TEXT, scale=0.2),
    }
    # Numbered 1, 3, 5 … in the order down, up, mid.
    key = 1
    for name, layer in ((n, m) for part in ("down_blocks", "up_blocks", "mid_block") for n, m in getattr(unet, part).named_modules()):
        if name.endswith("attn2") and "motion_modules" not in name:
            for i, what in enumerate(("to_k_ip", "to_v_ip")):
                tensors[f"ip_adapter.{key}.{what}.weight"] = randn(610 + key + 50 * i, layer.to_k.out_features, TEXT, scale=TEXT**-0.5)
            key += 2
    save(ADAPTER, tensors, half=("image_proj", "ip_adapter"))


def load_adapter(pipe) -> None:
    flat = load_file(ADAPTER)
    parts = {p: {k.removeprefix(p + "."): v.float() for k, v in flat.items() if k.startswith(p)} for p in ("image_proj", "ip_adapter")}
    pipe.load_ip_adapter(parts, subfolder=None, weight_name=None, image_encoder_folder=None)


def main() -> None:
    build(load("tiny-a").unet)
    cases, pipes = Cases(), []
    for dtype in (torch.float32, torch.float64):
        encoder = CLIPVisionModelWithProjection.from_pretrained(ENCODER, torch_dtype=torch.float32)
        pipe = load("tiny-a", image_encoder=encoder, feature_extractor=CLIPImageProcessor.from_pretrained(ENCODER))
        load_adapter(pipe)
        pipes.append(pipe.to(dtype))
    pipe, exact = pipes
    for i, (name, (a, (w, h))) in enumerate(CASES.items()):
        picture = clip(1, w, h, i)
        for p in pipes:
            p.set_ip_adapter_scale(a["ipScale"])
        more = lambda _: {"ip_adapter_image": images(picture)[0]}
        files = {"ipAdapter": ADAPTER.name, "ipEncoder": ENCODER.name}
        latents = cases.add(f"ip-{name}", pipe, exact, {"model": "tiny-a", **files, **a}, more)
        pixels = pipe.feature_extractor(images(picture)[0], return_tensors="pt").pixel_values
        cases.tensors |= {f"ip-{name}.in.image": picture[0], f"ip-{name}.in.pixels": pixels, f"ip-{name}.embedding": pipe.image_encoder(pixels).image_embeds}
        other = run(pipe, a, {"ip_adapter_image": images(clip(1, w, h, i).flip(1).roll(1, 3))[0]})[0]
        pipe.set_ip_adapter_scale(0)
        without = run(pipe, a, more(0))[0]
        print(f"   changes the latents by {relative(without, latents):.3f}; another picture by {relative(other, latents):.3f}")
        assert relative(without, latents) > 0.02 and relative(other, latents) > 0.002
    save(FIXTURES / "pipelines-ip.safetensors", cases.tensors, cases=cases.cases)


if __name__ == "__main__":
    main()
