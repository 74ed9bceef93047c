"""Measure the adapters of the shapes model on fixed tests, 4 steps, guidance 1, by the files that ship.

    python evaluate_adapters.py i2v         a picture and a prompt: by PyTorch (adapt.py's sampling; diffusers has no such model)
    python evaluate_adapters.py control     a path and a prompt: stock AnimateDiffControlNetPipeline
    python evaluate_adapters.py styles      prompts in both styles: stock AnimateDiffPipeline with two LoRAs
                                            each -> ../adapters.json and ../sheet-i2v.png, sheet-control.png, sheet-styles.png
    python evaluate_adapters.py table       the measured tables as markdown

Half of the tests are of combinations that no stage after the first ever saw; pictures, places and paths are new in all.
"""
import argparse
import json
import os

import numpy as np
import torch

import data as D
from adapters import MODELS, base_parts, blob, encode, free_path, free_start, render
from checker import BGS, KEYS, check, largest, nearest_background, object_masks, score
from evaluate import labelled, prompts


# ------------------------------------------------------------------ what is in a frame
def places(v, bg):
    """(frames, 3): centre and square root of the area of the object, NaN where none is seen"""
    out = []
    for m in map(largest, object_masks(v.astype(np.float32), bg)):
        seen = 60 <= m.sum() <= 8192
        out.append((D.XX[m].mean(), D.YY[m].mean(), np.sqrt(m.sum())) if seen else (np.nan,) * 3)
    return np.array(out)


def distance(v, truth, bg):
    """pixels between the object's centre and the true one, frame by frame; 64 where no object is seen"""
    p, q = places(v, bg), places(truth, bg)
    return np.nan_to_num(np.hypot(*(p[:, :2] - q[:, :2]).T), nan=64.0)


def summary(results, combos, **more):
    return dict(score(results, combos), clips=len(results), **{k: round(float(v), 3) for k, v in more.items()})


def note(a, name, entry):
    path = f"{a.models}/adapters.json"
    db = json.load(open(path)) if os.path.exists(path) else {}
    db[name] = entry
    with open(path, "w") as f:
        json.dump(db, f, indent=1)
        f.write("\n")
    print(name, entry, flush=True)


EIGHT = (0, 2, 4, 6, 9, 11, 13, 15)


def strip(v):
    return np.concatenate([v[i] for i in EIGHT], 1)


def to_uint8(x):
    return (np.asarray(x, np.float32) * 255 + 0.5).clip(0, 255).astype(np.uint8)


# ------------------------------------------------------------------ image to video
def picture_tests(n):
    """combination, true trajectory, seed; the picture is frame 0"""
    combos, _, _ = prompts(n)
    return [(c, free_start(c[2], np.random.RandomState(40_000_000 + i)), 3000 + i) for i, c in enumerate(combos)]


def load_i2v():
    from safetensors.torch import load_file
    from adapt import I2V, original_motion_name
    q = I2V()
    f = {k: v.float() for k, v in load_file(f"{MODELS}/motion-i2v/diffusion_pytorch_model.safetensors").items()}
    q.net.encoder.load_state_dict({k.removeprefix("img_encoder."): v for k, v in f.items() if k.startswith("img_encoder.")})
    with torch.no_grad():
        for n, p in zip(q.net.motion_names, q.net.motion):
            p.copy_(f[original_motion_name(n)])
    return q


def sample_i2v(a, q, parts, prompt, pictures, seeds, with_picture=True):
    """LCM sampling as AnimateLCM-I2V's defaults: betas to 0.014, 200 original steps; its colour matching is left out"""
    from diffusers import LCMScheduler
    from nets import FrameNumbers, tokens
    tok, text, vae = parts
    schedule = LCMScheduler(beta_start=0.00085, beta_end=0.014 if with_picture else 0.012, beta_schedule="linear",
                            original_inference_steps=200, clip_sample=False, set_alpha_to_one=False, steps_offset=1)
    schedule.set_timesteps(4)
    gens = [torch.Generator().manual_seed(s) for s in seeds]
    c = text(tokens(tok, prompt)).last_hidden_state
    z = torch.cat([encode(vae, p[None]) for p in pictures])
    x = torch.cat([torch.randn(1, 4, 16, 16, 16, generator=g) for g in gens])
    frames = torch.arange(16)[None].repeat(len(gens), 1)
    for t in schedule.timesteps:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.bf16):
            if with_picture:
                e = q.predict(q.net, x, t.repeat(len(gens)), c, frames, z)
            else:
                FrameNumbers.idx, q.injection.features = frames, None
                e = q.unet(x, t.repeat(len(gens)), c).sample.float()
        x = schedule.step(e, t, x, generator=gens).prev_sample
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.bf16):
        y = [vae.decode(v.transpose(0, 1) / vae.config.scaling_factor).sample.float() for v in x]
    return to_uint8(torch.stack(y).permute(0, 1, 3, 4, 2).numpy() / 2 + 0.5)


def i2v(a):
    parts, q = base_parts(), load_i2v()
    tests = picture_tests(a.n)
    combos, seeds = [t[0] for t in tests], [t[2] for t in tests]
    truth = [render(c, s) for c, s, _ in tests]
    pictures = [v[0] for v in truth]
    words = {"motion only": [c[2] for c in combos], "whole prompt": [D.canonical(*c) for c in combos]}
    rows, labels = [], []
    for name, caps in words.items():
        for with_picture in (True, False) if name == "whole prompt" else (True,):
            v = np.concatenate([sample_i2v(a, q, parts, caps[i:i + 4], pictures[i:i + 4], seeds[i:i + 4], with_picture)
                                for i in range(0, len(tests), 4)])
            first = [check(np.repeat(w[:1], 16, 0)) for w in v]
            agree = {f"frame 0 {k}": np.mean([r[k] == c[j] for r, c in zip(first, combos)]) for j, k in enumerate(KEYS) if k != "motion"}
            off = [distance(w[:1], p[None], c[3])[0] for w, p, c in zip(v, pictures, combos)]
            psnr = [10 * np.log10(255 ** 2 / ((w[0].astype(float) - p) ** 2).mean()) for w, p in zip(v, pictures)]
            note(a, f"i2v, {name}, {'picture' if with_picture else 'no picture'}",
                 summary([check(w) for w in v], combos, **agree, **{"frame 0 place error": np.mean(off), "frame 0 psnr": np.mean(psnr)}))
            if with_picture and name == "whole prompt":
                for w, p, c in list(zip(v, pictures, caps))[:5]:
                    rows.append(np.concatenate([p, np.full((128, 6, 3), 255, np.uint8), strip(w)], 1))
                    labels.append(f"picture, then: {c}")
    labelled(rows, labels, f"{a.models}/sheet-i2v.png")


# ------------------------------------------------------------------ ControlNet
def path_tests(n):
    combos, _, _ = prompts(n)
    return [(c, free_path(np.random.RandomState(41_000_000 + i)), 4000 + i) for i, c in enumerate(combos)]


def still_caption(c):
    return f"{'an' if c[0] == 'orange' else 'a'} {c[0]} {c[1]} {D.BG_PHRASES[c[3]][0]}"


def lcm_pipe(a, cls, **parts):
    from diffusers import LCMScheduler, MotionAdapter
    from nets import prepare
    pipe = cls.from_pretrained(
        f"{a.models}/base", motion_adapter=MotionAdapter.from_pretrained(f"{a.models}/motion-lcm", torch_dtype=torch.float32),
        torch_dtype=torch.float32, **parts)
    pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config, beta_schedule="linear")
    pipe.load_lora_weights(a.models, weight_name="lcm-lora.safetensors", adapter_name="lcm")
    pipe.set_progress_bar_config(disable=True)
    return pipe, prepare


def control(a):
    from diffusers import AnimateDiffControlNetPipeline, ControlNetModel
    from PIL import Image
    net = ControlNetModel.from_pretrained(f"{a.models}/control-blob", torch_dtype=torch.float32)
    pipe, prepare = lcm_pipe(a, AnimateDiffControlNetPipeline, controlnet=net)
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    tests = path_tests(a.n)
    combos = [t[0] for t in tests]
    truth = [render(c, s) for c, s, _ in tests]
    rows, labels = [], []
    for scale in (1.0, 0.0):
        clips = []
        for c, states, seed in tests:
            blobs = [Image.fromarray(to_uint8(np.repeat(blob(s)[..., None], 3, 2))) for s in states]
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.bf16):
                v = pipe(prompt=still_caption(c), num_frames=16, height=128, width=128, num_inference_steps=4, guidance_scale=1.0,
                         conditioning_frames=blobs, controlnet_conditioning_scale=scale,
                         generator=torch.Generator().manual_seed(seed), output_type="np").frames
            clips.append(to_uint8(v[0]))
        off = np.stack([distance(v, w, c[3]) for v, w, c in zip(clips, truth, combos)])
        size = [np.nanmean(np.abs(places(v, c[3])[:, 2] / places(w, c[3])[:, 2] - 1)) for v, w, c in zip(clips, truth, combos)]
        note(a, "control" if scale else "control, scale 0",
             summary([check(v) for v in clips], combos, **{"centroid error": off.mean(), "centroid error, median": np.median(off),
                                                          "worst clip": off.mean(1).max(), "size error": np.nanmean(size)}))
        if scale:
            for v, (c, states, _) in list(zip(clips, tests))[:5]:
                b = to_uint8(np.stack([np.repeat(blob(s)[..., None], 3, 2) for s in states]))
                rows += [np.concatenate([strip(b)[::2, ::2], np.zeros((64, 512, 3), np.uint8)], 1), strip(v)]
                labels += ["", still_caption(c)]
    labelled(rows, labels, f"{a.models}/sheet-control.png")


# ------------------------------------------------------------------ styles
def styles(a):
    import styles as S
    from diffusers import AnimateDiffPipeline, AutoencoderKL
    vae = AutoencoderKL.from_pretrained(f"{a.models}/style-vae", torch_dtype=torch.float32)
    combos, caps, seeds = prompts(a.n)
    rows, labels = [], []
    for style in S.STYLES:
        pipe, prepare = lcm_pipe(a, AnimateDiffPipeline, vae=vae)
        pipe.load_lora_weights(a.models, weight_name=f"style-{style}.safetensors", adapter_name="style")
        pipe.set_adapters(["lcm", "style"], [1.0, 1.0])
        pipe.fuse_lora(adapter_names=["lcm", "style"])
        pipe.unload_lora_weights()
        prepare(pipe.unet)
        seen, clips = S.checker_for(style), []
        for i in range(0, len(caps), 4):
            gens = [torch.Generator().manual_seed(s) for s in seeds[i:i + 4]]
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.bf16):
                clips += list(to_uint8(pipe(prompt=caps[i:i + 4], num_frames=16, height=128, width=128, num_inference_steps=4,
                                            guidance_scale=1.0, generator=gens, output_type="np").frames))
        note(a, f"style {style}", summary([seen(v) for v in clips], combos))
        rows += [strip(v) for v in clips[:6]]
        labels += [f"{style}: {c}" for c in caps[:6]]
    labelled(rows, labels, f"{a.models}/sheet-styles.png")


def table(a):
    db = json.load(open(f"{a.models}/adapters.json"))
    percent = lambda v: f"{100 * v:.0f} %"
    print("| image to video | clips | colour | shape | motion | background | frame 0: colour | shape | place, px off |\n" + "|---" * 9 + "|")
    for k, e in db.items():
        if k.startswith("i2v"):
            print(f"| {k[5:]} | {e['clips']} | " + " | ".join(percent(e[q]) for q in KEYS + ("frame 0 colour", "frame 0 shape")) + f" | {e['frame 0 place error']:.1f} |")
    print("\n| control | clips | colour | shape | background | centroid error, px | median | worst clip |\n" + "|---" * 8 + "|")
    for k, e in db.items():
        if k.startswith("control"):
            print(f"| {k} | {e['clips']} | " + " | ".join(percent(e[q]) for q in ("colour", "shape", "background"))
                  + " | " + " | ".join(f"{e[q]:.1f}" for q in ("centroid error", "centroid error, median", "worst clip")) + " |")
    print("\n| style | clips | colour | shape | motion | background | all four |\n" + "|---" * 7 + "|")
    for k, e in db.items():
        if k.startswith("style"):
            print(f"| {k[6:]} | {e['clips']} | " + " | ".join(percent(e[q]) for q in KEYS + ("all four",)) + " |")


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("command", choices=["i2v", "control", "styles", "table"])
    ap.add_argument("--models", default="..")
    ap.add_argument("--n", type=int, default=40)
    ap.add_argument("--bf16", action="store_true", help="bf16 arithmetic instead of f32")
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    with torch.inference_mode():
        globals()[a.command](a)
