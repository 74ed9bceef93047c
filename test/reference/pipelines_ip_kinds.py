"""IP-Adapter Plus and Full Face on fixtures/tiny-a → tiny-a-ip-plus.safetensors, tiny-a-ip-full-face.bin, pipelines-ip-kinds.safetensors.

Files are in the published names (ip-adapter-plus_sd15: a resampler; ip-adapter-full-face_sd15: two linear layers) and loaded by
diffusers' load_ip_adapter. As pipelines_ip.py; each case's `ip` lists adapters with their number of pictures, which are
`<case>.in.<adapter>.<picture>` u8 [H, W, 3]. `states` is the encoder's hidden_states[-2] of the first case's first picture.
Windows are windows.py's; an adapter's part of the steps is set on diffusers' attention layers before each step.
"""

import contextlib

import torch
from safetensors.torch import load_file
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from clips import clip, images
from common import FIXTURES, randn, relative, save
from pipelines import BLUE, RED
from pipelines_ip import ADAPTER, ENCODER, TEXT
from runner import Cases, load, run
from windows import Within, within

STATES, HIDDEN, QUERIES, HEADS, LAYERS = 32, 16, 5, 2, 4  # diffusers' resampler always has 4 layers
FILES = {"base": ADAPTER.name, "plus": "tiny-a-ip-plus.safetensors", "full-face": "tiny-a-ip-full-face.bin"}
SMALL = dict(frames=3, width=24, height=16)
CASES = {
    "plus": dict(prompt=RED, ip=[dict(kind="plus")], **SMALL),
    "plus-guided": dict(prompt=BLUE, guidance=1.5, negative="bad", seed=1, ip=[dict(kind="plus", images=2, scale=0.7)], **SMALL),
    "full-face": dict(prompt=BLUE, guidance=2, seed=2, ip=[dict(kind="full-face", scale=0.8)], **SMALL),
    "three": dict(prompt=RED, guidance=1.5, seed=3, motionNorm="frame", ip=[dict(kind="base", images=2, scale=0.5), dict(kind="full-face", scale=0.4), dict(kind="plus", scale=-0.3)], **SMALL),
    "part": dict(prompt=BLUE, seed=4, ip=[dict(kind="plus", start=0.25, end=0.75), dict(kind="base", end=0.5)], **SMALL),
    "travel": dict(prompt=RED, promptAt={"4": BLUE}, guidance=1.5, long="free-noise", context=4, stride=2, seed=5, ip=[dict(kind="plus", images=2)], **SMALL | dict(frames=8)),
    "window": dict(prompt=RED, guidance=1.5, long="window", context=4, stride=2, seed=6, steps=3, ip=[dict(kind="full-face", scale=0.7), dict(kind="plus")], **SMALL | dict(frames=7)),
}


def linear(name: str, seed: int, outputs: int, inputs: int, bias: bool = True) -> dict[str, torch.Tensor]:
    w = {f"{name}.weight": randn(seed, outputs, inputs, scale=inputs**-0.5)}
    return w | ({f"{name}.bias": randn(seed + 1, outputs, scale=0.2)} if bias else {})


def norm(name: str, seed: int, width: int) -> dict[str, torch.Tensor]:
    return {f"{name}.weight": (1 + randn(seed, width, scale=0.2)).half().float(), f"{name}.bias": randn(seed + 1, width, scale=0.2)}


def resampler() -> dict[str, torch.Tensor]:
    t = {"latents": randn(800, 1, QUERIES, HIDDEN, scale=0.7), **linear("proj_in", 801, HIDDEN, STATES), **linear("proj_out", 803, TEXT, HIDDEN), **norm("norm_out", 805, TEXT)}
    for i in range(LAYERS):
        at, seed, inner = f"layers.{i}", 820 + 20 * i, 64 * HEADS
        t |= norm(f"{at}.0.norm1", seed, HIDDEN) | norm(f"{at}.0.norm2", seed + 2, HIDDEN) | norm(f"{at}.1.0", seed + 4, HIDDEN)
        for j, (name, outputs, inputs) in enumerate((("0.to_q", inner, HIDDEN), ("0.to_kv", 2 * inner, HIDDEN), ("0.to_out", HIDDEN, inner), ("1.1", 4 * HIDDEN, HIDDEN), ("1.3", HIDDEN, 4 * HIDDEN))):
            t |= linear(f"{at}.{name}", seed + 6 + j, outputs, inputs, bias=False)
    return t


def build() -> None:
    keys = {k.removeprefix("ip_adapter."): v.float() for k, v in load_file(ADAPTER).items() if k.startswith("ip_adapter.")}
    for n, kind in enumerate(("plus", "full-face")):
        layers = {k: randn(950 + 100 * n + i, *v.shape, scale=v.shape[1] ** -0.5) for i, (k, v) in enumerate(keys.items())}
        if kind == "plus":
            flat = {f"image_proj.{k}": v for k, v in resampler().items()} | {f"ip_adapter.{k}": v for k, v in layers.items()}
            save(FIXTURES / FILES[kind], flat, half=("",))
        else:
            proj = linear("proj.0", 900, STATES, STATES) | linear("proj.2", 902, TEXT, STATES) | norm("proj.3", 904, TEXT)
            halves = lambda d: {k: v.half() for k, v in d.items()}
            torch.save({"image_proj": halves(proj), "ip_adapter": halves(layers)}, FIXTURES / FILES[kind])


@contextlib.contextmanager
def spans(pipe, prompts: list[dict], steps: int):
    """Sets the adapters' scales before each evaluation of the UNet: 0 outside of their parts of the steps."""
    forward, step = pipe.unet.forward, 0

    def evaluate(*args, **kwargs):
        nonlocal step
        inside = lambda p: step / steps >= p.get("start", 0) and (step + 1) / steps <= p.get("end", 1)
        pipe.set_ip_adapter_scale([p.get("scale", 1.0) if inside(p) else 0.0 for p in prompts])
        step += 1
        return forward(*args, **kwargs)

    pipe.unet.forward = evaluate
    try:
        yield
    finally:
        pipe.unet.forward = forward


def open_pipe(a: dict, dtype: torch.dtype) -> Within:
    encoder = CLIPVisionModelWithProjection.from_pretrained(ENCODER, torch_dtype=torch.float32)
    pipe = load("tiny-a", image_encoder=encoder, feature_extractor=CLIPImageProcessor.from_pretrained(ENCODER))
    pipe.load_ip_adapter([str(FIXTURES)] * len(a["ip"]), subfolder="", weight_name=[FILES[p["kind"]] for p in a["ip"]], image_encoder_folder=None)
    if a.get("long") == "free-noise":
        pipe.enable_free_noise(context_length=a["context"], context_stride=a["stride"])
    return within(pipe.to(dtype), a, lambda p: spans(p, a["ip"], a.get("steps", 4)))


def main() -> None:
    build()
    cases = Cases()
    for i, (name, a) in enumerate(CASES.items()):
        pipe, exact = (open_pipe(a, d) for d in (torch.float32, torch.float64))
        pictures = [[clip(1, 30 + 7 * k + 3 * i, 40 + 5 * j - 2 * k, i + j + k) for k in range(p.get("images", 1))] for j, p in enumerate(a["ip"])]
        texts = {"prompt": {0: a["prompt"], **{int(k): v for k, v in a["promptAt"].items()}}} if "promptAt" in a else {}
        more = lambda _, turn=False: {"ip_adapter_image": [[images(x.flip(1) if turn else x)[0] for x in group] for group in pictures], **texts}
        latents = cases.add(f"ip-{name}", pipe, exact, {"model": "tiny-a", "files": FILES, **a}, more)
        for j, group in enumerate(pictures):
            for k, x in enumerate(group):
                cases.tensors[f"ip-{name}.in.{j}.{k}"] = x[0]
        other = run(pipe, a, more(0, True))[0]
        silent = a | {"ip": [p | {"scale": 0.0} for p in a["ip"]]}
        without = run(open_pipe(silent, torch.float32), a, more(0))[0]
        print(f"   changes the latents by {relative(without, latents):.3f}; other pictures by {relative(other, latents):.3f}")
        assert relative(without, latents) > 0.02 and relative(other, latents) > 0.001
        if i == 0:
            pixels = pipe.feature_extractor(images(pictures[0][0])[0], return_tensors="pt").pixel_values
            cases.tensors["states"] = pipe.image_encoder(pixels, output_hidden_states=True).hidden_states[-2]
            cases.tensors["states.none"] = pipe.image_encoder(torch.zeros_like(pixels), output_hidden_states=True).hidden_states[-2]
    save(FIXTURES / "pipelines-ip-kinds.safetensors", cases.tensors, cases=cases.cases)


if __name__ == "__main__":
    main()
