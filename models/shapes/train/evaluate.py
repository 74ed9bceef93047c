"""Measure the exported files with stock diffusers pipelines and the checker.

    python evaluate.py run [NAME ...]   configurations below, 100 fixed prompts each -> ../evaluation.json
    python evaluate.py table            the measured table as markdown
    python evaluate.py sheets           contact sheets -> ../sheet-*.png
"""
import argparse
import json
import os
import time

import numpy as np
import torch

import data as D
from checker import KEYS, check, score
from nets import prepare

# name: (motion adapter, with LoRA, scheduler, steps, guidance)
CONFIGS = {
    "AnimateLCM, 4 steps": ("motion-lcm", True, "lcm", 4, 1.0),
    "AnimateLCM, 2 steps": ("motion-lcm", True, "lcm", 2, 1.0),
    "AnimateLCM, 8 steps": ("motion-lcm", True, "lcm", 8, 1.0),
    "teacher, DDIM 25 steps": ("motion-teacher", False, "ddim", 25, 3.0),
    "teacher, DDIM 4 steps": ("motion-teacher", False, "ddim", 4, 3.0),
    "teacher, DPM-Solver 4 steps": ("motion-teacher", False, "dpmsolver", 4, 3.0),
    "teacher, DPM-Solver++ 4 steps": ("motion-teacher", False, "dpmsolver++", 4, 3.0),
    # guidance takes two network calls a step: this is the teacher with as many calls as AnimateLCM's 4 steps
    "teacher, DPM-Solver++ 2 steps": ("motion-teacher", False, "dpmsolver++", 2, 3.0),
}


def prompts(n=100):
    """n prompts, the first half (every second one) of combinations that the motion stages never saw. The seeds are
    used nowhere else."""
    rng = np.random.RandomState(4242)
    held = [D.HELD[i] for i in rng.permutation(len(D.HELD))]
    seen = [D.TRAIN[i] for i in rng.permutation(len(D.TRAIN))]
    combos = [c for pair in zip(held, seen) for c in pair][:n]
    return combos, [D.canonical(*c) for c in combos], list(range(1000, 1000 + n))


def make_pipe(a, name):
    from diffusers import AnimateDiffPipeline, DDIMScheduler, DPMSolverMultistepScheduler, LCMScheduler, MotionAdapter
    adapter, lora, kind, steps, guidance = CONFIGS[name]
    pipe = AnimateDiffPipeline.from_pretrained(
        f"{a.models}/base", motion_adapter=MotionAdapter.from_pretrained(f"{a.models}/{adapter}", torch_dtype=torch.float32),
        torch_dtype=torch.float32)
    ddim = DDIMScheduler.from_pretrained(f"{a.models}/base", subfolder="scheduler")
    if kind == "lcm":
        pipe.scheduler = LCMScheduler.from_config(ddim.config, beta_schedule="linear")
    elif kind == "ddim":
        pipe.scheduler = ddim
    else:
        pipe.scheduler = DPMSolverMultistepScheduler.from_config(
            ddim.config, algorithm_type=kind, final_sigmas_type="sigma_min" if kind == "dpmsolver" else "zero")
    if lora:
        pipe.load_lora_weights(a.models, weight_name="lcm-lora.safetensors", adapter_name="lcm")
        pipe.fuse_lora()
        pipe.unload_lora_weights()
    prepare(pipe.unet)  # same result, faster on a CPU; f32 ends if the rest is bf16
    pipe.set_progress_bar_config(disable=True)
    return pipe, steps, guidance


def groups(a, name, caps, seeds, size=10):
    """the clips of the prompts, some at a time"""
    pipe, steps, guidance = make_pipe(a, name)
    for i in range(0, len(caps), size):
        gens = [torch.Generator("cpu").manual_seed(s) for s in seeds[i:i + size]]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.bf16):
            v = pipe(prompt=caps[i:i + size], num_frames=16, height=128, width=128, num_inference_steps=steps,
                     guidance_scale=guidance, generator=gens, output_type="np", decode_chunk_size=16).frames
        yield (np.asarray(v, np.float32) * 255 + 0.5).clip(0, 255).astype(np.uint8)


def generate(a, name, caps, seeds):
    return np.concatenate(list(groups(a, name, caps, seeds)))


def run(a):
    """results are written after every ten prompts; any even number of prompts is half held out, half seen"""
    combos, caps, seeds = prompts(a.n)
    for name in a.names or list(CONFIGS):
        t, results = time.time(), []
        for v in groups(a, name, caps, seeds):
            for q in v:
                c, p, r = combos[len(results)], caps[len(results)], check(q)
                results.append(r)
                bad = [f"{k}: {r[k]}" for j, k in enumerate(KEYS) if r[k] != c[j]]
                if bad:
                    print("   ", p, "->", bad, f"dx {r['dx']:.0f} dy {r['dy']:.0f} ratio {r['ratio']:.2f} iou {r['iou']:.2f}")
            n = len(results)
            parts = {"all": range(n), "held out": range(0, n, 2), "seen": range(1, n, 2)}
            entry = {k: score([results[i] for i in r], [combos[i] for i in r]) for k, r in parts.items()}
            entry.update(prompts=n, seconds_per_clip=round((time.time() - t) / n, 2), arithmetic="bf16" if a.bf16 else "f32")
            db = json.load(open(a.results)) if os.path.exists(a.results) else {}
            db[name] = entry
            with open(a.results, "w") as f:
                json.dump(db, f, indent=1)
            print(name, n, entry["all"], flush=True)


def table(a):
    """network calls: a step with guidance takes two. overlap: of the outline with the shape it is nearest to.
    jitter: mean distance of the object from a steady path, in pixels"""
    db = json.load(open(a.results))
    head = ("", "network calls", "prompts") + KEYS + ("all four", "held out, all four", "overlap", "jitter")
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for name, (_, _, _, steps, guidance) in CONFIGS.items():
        if name in db:
            e = db[name]
            cells = [name, str(steps * (2 if guidance > 1 else 1)), str(e["prompts"])]
            cells += [f"{100 * e['all'][k]:.0f} %" for k in KEYS + ("all four",)]
            cells += [f"{100 * e['held out']['all four']:.0f} %", f"{e['all']['iou']:.3f}", f"{e['all']['jitter']:.2f}"]
            print("| " + " | ".join(cells) + " |")


SHEET = [("red", "star", "moving right", "night sky"), ("blue", "circle", "moving left", "green meadow"),
         ("yellow", "heart", "growing", "blue sea"), ("purple", "triangle", "moving up", "sunset"),
         ("white", "square", "moving down", "blue sea"), ("pink", "heart", "shrinking", "night sky"),
         ("orange", "circle", "moving up", "green meadow"), ("green", "star", "growing", "sunset"),
         ("yellow", "star", "moving down", "night sky"), ("red", "heart", "moving left", "sunset"),
         ("pink", "circle", "shrinking", "blue sea"), ("blue", "square", "moving right", "sunset"),
         ("white", "star", "shrinking", "green meadow"), ("purple", "circle", "growing", "night sky"),
         ("orange", "triangle", "moving left", "blue sea"), ("green", "square", "moving up", "night sky")]


def labelled(rows, labels, path):
    from PIL import Image, ImageDraw
    im = Image.fromarray(np.concatenate([np.concatenate([np.full((14, r.shape[1], 3), 24, np.uint8), r]) for r in rows]))
    d, y = ImageDraw.Draw(im), 0
    for r, text in zip(rows, labels):
        d.text((4, y + 1), text, fill=(240, 240, 240))
        y += 14 + r.shape[0]
    im = im.resize((im.width * 3 // 4, im.height * 3 // 4), Image.LANCZOS)
    im.save(path, optimize=True)


def sheets(a):
    """every prompt with one seed, not picked; eight of the sixteen frames"""
    caps, seeds = [D.canonical(*c) for c in SHEET], list(range(7, 7 + len(SHEET)))
    row = lambda v: np.concatenate([v[i] for i in (0, 2, 4, 6, 9, 11, 13, 15)], 1)
    first = list(CONFIGS)[0]
    v = generate(a, first, caps, seeds)
    labelled([row(q) for q in v], [f"{c} (seed {s})" for c, s in zip(caps, seeds)], f"{a.models}/sheet-4-steps.png")
    rows, labels = [], []
    for name in CONFIGS:
        w = v[:2] if name == first else generate(a, name, caps[:2], seeds[:2])
        rows += [row(q) for q in w]
        labels += [f"{name}: {c}" for c in caps[:2]]
    labelled(rows[0::2] + rows[1::2], labels[0::2] + labels[1::2], f"{a.models}/sheet-samplers.png")


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("command", choices=["run", "table", "sheets"])
    ap.add_argument("names", nargs="*")
    ap.add_argument("--models", default="..")
    ap.add_argument("--results", default="../evaluation.json")
    ap.add_argument("--n", type=int, default=100)
    ap.add_argument("--bf16", action="store_true", help="bf16 arithmetic instead of f32")
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    with torch.inference_mode():
        globals()[a.command](a)
