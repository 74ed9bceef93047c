"""Does the recipe run? Every stage for a few steps, from nothing, in a folder of its own. It does not ask whether
anything was learnt.

    python smoke.py [--minutes 0.02] [--work /tmp/shapes-smoke]     minutes: for each stage
"""
import argparse
import os
import time
from types import SimpleNamespace

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--minutes", type=float, default=0.02)
ap.add_argument("--work", default="/tmp/shapes-smoke")
ap.add_argument("--threads", type=int, default=2)
args = ap.parse_args()
out = os.environ["SHAPES"] = f"{args.work}/shapes"
os.makedirs(out, exist_ok=True)

import torch

import data as D

D.TRAIN, D.HELD = D.TRAIN[:24], D.HELD[:24]  # few clips are enough here
torch.set_num_threads(args.threads)

import adapt
import adapters
import distill
import evaluate
import evaluate_adapters
import export
import styles
import train
import wordings


def stage(name, run, **more):
    t = time.time()
    a = SimpleNamespace(work=args.work, out=out, models=out, minutes=args.minutes, start=0.0, resume=False, stage=name,
                        threads=args.threads, size_weight=2.5, lr=2e-3, motion_lr=0.25, rank=8, wmin=1.0, wmax=2.5, n=4,
                        bf16=True, kineograph=False, names=[], results=f"{out}/evaluation.json")
    vars(a).update(more)
    run(a)
    print(f"--- {name}: {time.time() - t:.0f} s", flush=True)


stage("tokenizer", train.tokenizer)
for name in ("vae", "decoder", "latents", "image", "words", "motion"):
    stage(name, getattr(train, f"stage_{name}"))
stage("motion, resumed", train.stage_motion, resume=True)
for name in ("image", "video"):
    stage(name, distill.distill)
stage("export", export.export)
stage("wordings", wordings.teach, steps=3)
for kind in ("i2v", "control"):
    stage(kind, adapters.clips, kind=kind)
    stage(kind, adapt.train)
stage("export", adapt.export)
stage("style-vae", styles.stage_vae)
for style in styles.STYLES:
    stage("clips", styles.stage_clips, style=style)
    stage("train", styles.stage_train, style=style)
    stage("export", styles.stage_export, style=style)
with torch.inference_mode():
    stage("evaluate", evaluate.run, names=["AnimateLCM, 2 steps"])
    stage("i2v", evaluate_adapters.i2v)
    stage("control", evaluate_adapters.control)
    stage("styles", evaluate_adapters.styles)
print("every stage ran")
