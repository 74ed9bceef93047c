"""Measure the exported files with the checker, through stock diffusers pipelines and through Kineograph.

    python evaluate.py run [NAME ...]   configurations below, their number of fixed prompts each -> ../evaluation.json
    python evaluate.py run --kineograph [NAME ...]    the same by Kineograph (npm run build first)
    python evaluate.py table            the measured tables as markdown
    python evaluate.py sheets           contact sheets -> ../sheet-*.png

What the checker saw of each clip is kept in work/evaluation, so a run that was stopped goes on where it was.
"""
import argparse
import json
import os
import re
import subprocess
import time

import numpy as np
import torch

import data as D
from checker import KEYS, check, score
from nets import prepare

STEPS = (2, 4, 8, 12, 25)
# name: (motion adapter, with LoRA, scheduler, steps, guidance)
CONFIGS = {f"AnimateLCM, {n} steps": ("motion-lcm", True, "lcm", n, 1.0) for n in STEPS} | {
    f"teacher, {label} {n} steps": ("motion-teacher", False, kind, n, 3.0)
    for label, kind in (("DDIM", "ddim"), ("DPM-Solver", "dpmsolver"), ("DPM-Solver++", "dpmsolver++")) for n in STEPS}
# prompts in orders of words that training never made
REWORDED = "AnimateLCM, 4 steps, new wordings"
CONFIGS[REWORDED] = CONFIGS["AnimateLCM, 4 steps"]
# measured on 100 prompts, in the order of the table; the others on 50. Guidance takes two network calls a step:
# DPM-Solver++ at 2 steps is the teacher with as many calls as AnimateLCM's 4
MAIN = ["AnimateLCM, 4 steps", "AnimateLCM, 2 steps", "AnimateLCM, 8 steps", "teacher, DDIM 25 steps",
        "teacher, DDIM 4 steps", "teacher, DPM-Solver 4 steps", "teacher, DPM-Solver++ 4 steps",
        "teacher, DPM-Solver++ 2 steps", REWORDED]
KINEOGRAPH = {"lcm": "lcm", "ddim": "ddim", "dpmsolver": "dpm", "dpmsolver++": "dpm++"}


def prompts(n=100, reworded=False):
    """n prompts, every second one, from the first on, of a combination that the motion stages never saw. The seeds are
    used nowhere else."""
    rng = np.random.RandomState(4242)
    held = [D.HELD[i] for i in rng.permutation(len(D.HELD))]
    seen = [D.TRAIN[i] for i in rng.permutation(len(D.TRAIN))]
    combos = [c for pair in zip(held, seen) for c in pair][:n]
    words = [D.unseen_wording(*c, i) if reworded else D.canonical(*c) for i, c in enumerate(combos)]
    return combos, words, list(range(1000, 1000 + n))


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


def kineograph_groups(a, name, caps, seeds):
    """the same clips, one at a time, by Kineograph on the device it finds"""
    adapter, lora, kind, steps, guidance = CONFIGS[name]
    load = dict(model=f"{a.models}/base", motion=f"{a.models}/{adapter}",
                loras=[f"{a.models}/lcm-lora.safetensors"] if lora else [])
    jobs = [dict(prompt=c, seed=s, steps=steps, guidance=guidance, scheduler=KINEOGRAPH[kind]) for c, s in zip(caps, seeds)]
    node = subprocess.Popen(["node", "frames.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    node.stdin.write(json.dumps(dict(load=load, jobs=jobs)).encode())
    node.stdin.close()
    for _ in jobs:
        raw = node.stdout.read(16 * 128 * 128 * 3)
        if len(raw) < 16 * 128 * 128 * 3:
            raise SystemExit(f"Kineograph stopped early, exit status {node.wait()}")
        yield np.frombuffer(raw, np.uint8).reshape(1, 16, 128, 128, 3)
    node.wait()


def generate(a, name, caps, seeds):
    return np.concatenate(list(groups(a, name, caps, seeds)))


def wanted(name):
    return 100 if name in MAIN else 50


def run(a):
    """any even number of prompts is half held out, half seen"""
    engine = "Kineograph" if a.kineograph else "diffusers, bf16" if a.bf16 else "diffusers, f32"
    make = kineograph_groups if a.kineograph else groups
    os.makedirs(f"{a.work}/evaluation", exist_ok=True)
    for name in a.names or list(CONFIGS):
        combos, caps, seeds = prompts(a.n or wanted(name), name == REWORDED)
        kept = f"{a.work}/evaluation/{re.sub('[^a-z0-9+]+', '-', (engine + ' ' + name).lower())}.jsonl"
        rows = [json.loads(line) for line in open(kept)][:len(caps)] if os.path.exists(kept) else []
        t = time.time()
        for v in make(a, name, caps[len(rows):], seeds[len(rows):]) if len(rows) < len(caps) else []:
            seconds = round((time.time() - t) / len(v), 2)
            with open(kept, "a") as f:
                for q in v:
                    c, p, r = combos[len(rows)], caps[len(rows)], check(q)
                    rows.append(dict(r, seconds=seconds))
                    f.write(json.dumps(rows[-1], default=float) + "\n")
                    bad = [f"{k}: {r[k]}" for j, k in enumerate(KEYS) if r[k] != c[j]]
                    if bad:
                        print("   ", p, "->", bad, f"dx {r['dx']:.0f} dy {r['dy']:.0f} ratio {r['ratio']:.2f} iou {r['iou']:.2f}")
            note(a, name, engine, rows, combos)
            t = time.time()
        if rows:
            print(name, len(rows), note(a, name, engine, rows, combos)["all"], flush=True)


def note(a, name, engine, rows, combos):
    """one entry of the results file"""
    n = len(rows)
    parts = {"all": range(n), "held out": range(0, n, 2), "seen": range(1, n, 2)}
    entry = {k: score([rows[i] for i in r], [combos[i] for i in r]) for k, r in parts.items() if len(r)}
    entry.update(prompts=n, seconds_per_clip=round(float(np.median([r["seconds"] for r in rows])), 2), engine=engine)
    db = json.load(open(a.results)) if os.path.exists(a.results) else {}
    db[name + (" (Kineograph)" if engine == "Kineograph" else "")] = entry
    with open(a.results + ".tmp", "w") as f:
        json.dump(db, f, indent=1)
        f.write("\n")
    os.replace(a.results + ".tmp", a.results)
    return entry


def table(a):
    """network calls: a step with guidance takes two. overlap: of the outline with the shape it is nearest to.
    jitter: mean distance of the object from a steady path, in pixels"""
    db = json.load(open(a.results))
    head = ("", "network calls", "prompts") + KEYS + ("all four", "held out, all four", "overlap", "jitter")
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for name in [n + by for by in ("", " (Kineograph)") for n in MAIN]:
        if name in db:
            e, (_, _, _, steps, guidance) = db[name], CONFIGS[name.removesuffix(" (Kineograph)")]
            cells = [name, str(steps * (2 if guidance > 1 else 1)), str(e["prompts"])]
            cells += [f"{100 * e['all'][k]:.0f} %" for k in KEYS + ("all four",)]
            cells += [f"{100 * e['held out']['all four']:.0f} %", f"{e['all']['iou']:.3f}", f"{e['all']['jitter']:.2f}"]
            print("| " + " | ".join(cells) + " |")
    print("\n| all four right | " + " | ".join(f"{n} steps" for n in STEPS) + " |\n|" + "---|" * (1 + len(STEPS)))
    sampler = lambda name: re.sub(r",? \d+ steps", "", name)
    for label in dict.fromkeys(sampler(n) for n in CONFIGS if n != REWORDED):
        rows = [db.get(n) for n in CONFIGS if sampler(n) == label]
        print(f"| {label} | " + " | ".join(f"{100 * e['all']['all four']:.0f} % of {e['prompts']}" if e else "" for e in rows) + " |")


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
    first = MAIN[0]
    v = generate(a, first, caps, seeds)
    labelled([row(q) for q in v], [f"{c} (seed {s})" for c, s in zip(caps, seeds)], f"{a.models}/sheet-4-steps.png")
    rows, labels = [], []
    for name in (n for n in MAIN if n != REWORDED):
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
    ap.add_argument("--work", default="work")
    ap.add_argument("--n", type=int, help="prompts, in place of each configuration's own number")
    ap.add_argument("--kineograph", action="store_true", help="by Kineograph in place of diffusers")
    ap.add_argument("--bf16", action="store_true", help="bf16 arithmetic instead of f32")
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_intermixed_args()
    torch.set_num_threads(a.threads)
    with torch.inference_mode():
        globals()[a.command](a)
