"""Compares `kineograph generate` with stock diffusers, clip by clip; run by hand after `npm run build`.

python test/reference/compare.py --model DIR [--motion DIR] [--lora FILE[:WEIGHT]] [--prompts FILE | --prompt TEXT …]
    [--seeds 0 1] [--frames 16] [--size 64x64] [--steps 4] [--guidance 1] [--negative TEXT] [--scheduler lcm|ddim]
    [--original-steps 50] [--motion-norm joint|frame] [--precision f32|f16] [--least-db 60] [--device NAME] [--cli MAIN.JS]

diffusers runs in f32 on the CPU. For each prompt and seed: relative L2 distance of the last latents, PSNR of the 8-bit
frames (all pixels, and of the worst frame), the largest difference. Exits with 1 where a clip's PSNR is below --least-db.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from diffusers import AnimateDiffPipeline, MotionAdapter, StableDiffusionPipeline, UNetMotionModel
from PIL import Image
from safetensors.torch import load_file

from common import motion_norm, relative
from runner import run

ROOT = pathlib.Path(__file__).parents[2]


def parse() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", type=pathlib.Path, required=True)
    p.add_argument("--motion", type=pathlib.Path, help="default: motion_adapter in the model's folder")
    p.add_argument("--lora", action="append", default=[], metavar="FILE[:WEIGHT]")
    p.add_argument("--prompts", type=pathlib.Path, help="a text file, one prompt a line")
    p.add_argument("--prompt", action="append", default=[])
    p.add_argument("--seeds", type=int, nargs="+", default=[0])
    p.add_argument("--negative", default="")
    p.add_argument("--frames", type=int, default=16)
    p.add_argument("--size", help="default: the model's native size")
    p.add_argument("--steps", type=int, default=4)
    p.add_argument("--guidance", type=float, default=1)
    p.add_argument("--scheduler", choices=["lcm", "ddim"], default="lcm")
    p.add_argument("--original-steps", type=int, default=50)
    p.add_argument("--motion-norm", choices=["joint", "frame"], default="joint")
    p.add_argument("--precision", choices=["f32", "f16"], default="f32")
    p.add_argument("--least-db", type=float, default=60)
    p.add_argument("--device", help="handed to Kineograph")
    p.add_argument("--cli", type=pathlib.Path, default=ROOT / "dist/src/cli/main.js", help="another build's main.js")
    args = p.parse_args()
    args.motion = args.motion or args.model / "motion_adapter"
    if args.prompts:
        args.prompt += [line.strip() for line in args.prompts.read_text().splitlines() if line.strip()]
    if not args.prompt:
        p.error("give --prompt or --prompts")
    return args


def reference(args: argparse.Namespace) -> AnimateDiffPipeline:
    parts = StableDiffusionPipeline.from_pretrained(args.model, torch_dtype=torch.float32, safety_checker=None)
    pipe = AnimateDiffPipeline(
        vae=parts.vae, text_encoder=parts.text_encoder, tokenizer=parts.tokenizer, unet=parts.unet, scheduler=parts.scheduler,
        motion_adapter=MotionAdapter.from_pretrained(args.motion, torch_dtype=torch.float32),
    )
    pipe.set_progress_bar_config(disable=True)
    names = []
    for i, spec in enumerate(args.lora):
        file, weight = split_lora(spec)
        pipe.load_lora_weights(load_file(file), adapter_name=f"lora{i}")
        names.append((f"lora{i}", weight))
    if names:
        pipe.set_adapters([n for n, _ in names], [w for _, w in names])
    return pipe


def split_lora(spec: str) -> tuple[pathlib.Path, float]:
    file, _, weight = spec.rpartition(":")
    return (pathlib.Path(file), float(weight)) if file else (pathlib.Path(spec), 1.0)


def ours(args: argparse.Namespace, prompt: str, seed: int, width: int, height: int) -> tuple[torch.Tensor, torch.Tensor, dict]:
    """(latents, frames, the run's own report)."""
    with tempfile.TemporaryDirectory() as folder:
        latents = pathlib.Path(folder) / "latents.safetensors"
        command = ["node", args.cli, "generate", prompt, "--model", args.model, "--motion", args.motion]
        command += [x for spec in args.lora for x in ("--lora", spec)]
        options = {
            "--seed": seed, "--frames": args.frames, "--size": f"{width}x{height}", "--steps": args.steps, "--guidance": args.guidance,
            "--scheduler": args.scheduler, "--motion-norm": args.motion_norm, "--precision": args.precision,
            "--negative": args.negative or None, "--original-steps": args.original_steps if args.scheduler == "lcm" else None,
            "--device": args.device, "--latents-out": latents, "--output": f"{folder}/frames/",
        }
        command += [x for k, v in options.items() if v is not None for x in (k, v)] + ["--plain-prompt", "--quiet", "--json"]
        done = subprocess.run([str(x) for x in command], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"kineograph failed ({done.returncode}): {done.stderr.strip()}")
        files = sorted(pathlib.Path(folder, "frames").glob("frame-*.png"))
        frames = torch.from_numpy(np.stack([np.asarray(Image.open(f).convert("RGB")) for f in files]))
        return load_file(latents)["latents"], frames, json.loads(done.stdout)


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    mse = (a.double() - b.double()).pow(2).mean().item()
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)


def main() -> int:
    args = parse()
    pipe = reference(args)
    native = pipe.unet.config.sample_size * pipe.vae_scale_factor
    width, height = map(int, args.size.split("x")) if args.size else (native, native)
    print(f"{'seed':>5} {'latents':>8} {'PSNR':>7} {'worst':>7} {'max':>4} {'diffusers':>9} {'ours':>6}  prompt")
    found = []
    for prompt in args.prompt:
        for seed in args.seeds:
            a = dict(
                prompt=prompt, negative=args.negative, seed=seed, frames=args.frames, width=width, height=height, steps=args.steps,
                guidance=args.guidance, scheduler=args.scheduler, originalSteps=args.original_steps, motionNorm=args.motion_norm,
            )
            start = time.monotonic()
            latents, frames = run(pipe, a)
            seconds = time.monotonic() - start
            latents2, frames2, report = ours(args, prompt, seed, width, height)
            if frames.shape != frames2.shape or latents.shape != latents2.shape:
                sys.exit(f"shapes differ: frames {list(frames.shape)} and {list(frames2.shape)}, latents {list(latents.shape)} and {list(latents2.shape)}")
            found.append(psnr(frames2, frames))
            worst = min(psnr(x, y) for x, y in zip(frames2, frames))
            most = (frames.int() - frames2.int()).abs().max().item()
            print(f"{seed:>5} {relative(latents2, latents):8.1e} {found[-1]:7.2f} {worst:7.2f} {most:>4} {seconds:8.1f}s {report['seconds']['total']:5.1f}s  {prompt[:60]}", flush=True)
    print(f"least {min(found):.2f} dB, median {np.median(found):.2f} dB of {len(found)} clips")
    return int(min(found) < args.least_db)


if __name__ == "__main__":
    sys.exit(main())
