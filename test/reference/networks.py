"""Each network of fixtures/tiny-a and tiny-b by itself: text encoder, UNet with motion modules, VAE both ways.

Tensors `<case>.in.<name>` and `<case>.out` in PyTorch's layouts; the metadata's "cases" holds the arguments and the relative
L2 distance of the f32 run from an f64 run.
"""

import torch
from diffusers import MotionAdapter, StableDiffusionPipeline, UNetMotionModel

from common import FIXTURES, check, in_f64, motion_norm, randn, relative, save


def load(name: str):
    folder = FIXTURES / name
    pipe = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, safety_checker=None)
    adapter = MotionAdapter.from_pretrained(folder / "motion_adapter", torch_dtype=torch.float32)
    return pipe, adapter


def dump(name: str) -> None:
    pipe, adapter = load(name)
    text, vae, tok = pipe.text_encoder.eval(), pipe.vae.eval(), pipe.tokenizer
    unet = UNetMotionModel.from_unet2d(pipe.unet, adapter).eval()
    plain = UNetMotionModel.from_unet2d(pipe.unet, adapter).eval()  # the same without motion: its modules add nothing
    for m in [m for n, m in plain.named_modules() if n.endswith(tuple(f"motion_modules.{i}" for i in range(4)))]:
        m.proj_out.weight.zero_(), m.proj_out.bias.zero_()
    tensors, cases = {}, {}

    def record(case: str, run, modules, inputs: dict, **arguments) -> torch.Tensor:
        out = check(case, run(inputs))
        for m in modules:
            m.double()
        with in_f64():
            exact = run({k: x.double() if x.is_floating_point() else x for k, x in inputs.items()})
        for m in modules:
            m.float()
        tensors.update({f"{case}.in.{k}": x for k, x in inputs.items()} | {f"{case}.out": out})
        cases[case] = {**arguments, "f32_from_f64": relative(out, exact)}
        print(f"{name} {case}: {list(out.shape)} std {out.std():.3f}, f32 from f64 {cases[case]['f32_from_f64']:.1e}")
        return out

    # Text. clip_skip n: the state n layers before the last, through the final norm (diffusers' encode_prompt).
    def encode(skip):
        def run(x):
            ids = x["ids"].long()
            if skip == 0:
                return text(ids).last_hidden_state
            return text.text_model.final_layer_norm(text(ids, output_hidden_states=True).hidden_states[-(skip + 1)])

        return run

    long = "a red circle moving slowly to the left and a small blue star moving fast over the water at night " * 4
    states = {}
    prompts = {"plain": "a red circle moving to the left", "empty": "", "truncated": long, "marks": "Big STAR, 3 étoiles!  it's (red:1.2)"}
    for key, prompt in prompts.items():
        ids = tok(prompt, padding="max_length", truncation=True, max_length=tok.model_max_length, return_tensors="pt").input_ids
        states[key] = record(f"text-{key}", encode(0), [text], {"ids": ids.int()}, prompt=prompt, clip_skip=0)
        if key == "plain":
            record("text-skip1", encode(1), [text], {"ids": ids.int()}, prompt=prompt, clip_skip=1)

    # UNet: latents [b, 4, f, h, w]; text [b, tokens, d], which diffusers wants once per frame.
    def denoise(t, norm, network=unet):
        def run(x):
            f = x["sample"].shape[2]
            with motion_norm(network, norm):
                return network(x["sample"], t, encoder_hidden_states=x["text"].repeat_interleave(f, 0)).sample

        return run

    sizes = [(1, 5, 6, 8, 999, "joint"), (1, 5, 6, 8, 499, "frame"), (1, 1, 8, 8, 259, "joint"), (1, 16, 8, 4, 759, "joint"), (1, 3, 5, 7, 20, "joint"), (2, 4, 8, 6, 639, "joint"), (2, 4, 6, 8, 639, "frame")]
    for i, (b, f, h, w, t, norm) in enumerate(sizes):
        x = {"sample": randn(50 + i, b, 4, f, h, w), "text": (torch.cat([states["empty"], states["plain"]]) if b == 2 else states["plain"])}
        out = record(f"unet-{b}x{f}x{h}x{w}-{norm}", denoise(t, norm), [unet], x, timestep=t, motion_norm=norm, frames=f)
        if f > 1:
            still = denoise(t, norm, plain)(x)
            assert relative(still, out) > 0.05, "the motion modules hardly matter"
            other = denoise(t, "frame" if norm == "joint" else "joint")(x)
            other_text = denoise(t, norm)({**x, "text": states["marks"].expand_as(x["text"])})
            print(f"   matters: motion {relative(still, out):.3f}, its norm {relative(other, out):.4f}, text {relative(other_text, out):.3f}")
            assert relative(other, out) > 0.002 and relative(other_text, out) > 0.01

    # VAE. The decoder's input is already divided by scaling_factor.
    for i, (n, h, w) in enumerate([(2, 8, 8), (1, 5, 7)]):
        z = randn(70 + i, n, 4, h, w, scale=1 / vae.config.scaling_factor)
        out = record(f"decode-{n}x{h}x{w}", lambda x: vae.decode(x["latents"]).sample, [vae], {"latents": z})
        assert out.abs().gt(1).float().mean() < 0.1 and out.std() > 0.15, "pictures are clipped or flat"
    for i, (n, h, w) in enumerate([(2, 32, 32), (1, 24, 40)]):
        x = randn(80 + i, n, 3, h, w, scale=0.5).clamp(-1, 1)
        record(f"encode-{n}x{h}x{w}", lambda x: vae._encode(x["image"]), [vae], {"image": x})

    save(FIXTURES / f"{name}-networks.safetensors", tensors, half=(".in.sample", ".in.latents", ".in.image"), cases=cases)


if __name__ == "__main__":
    for name in ("tiny-a", "tiny-b"):
        dump(name)
