"""Two styles of the shapes model, as LoRAs of its image side: neon and pencil. They stand for the personalised models of
AnimateLCM's galleries: trained on stills of the base model, never on motion or few steps, and then run with the motion
modules and the LCM-LoRA as they are.

    python styles.py vae --minutes 10           a decoder that can show both styles -> work/style-vae.pt
    python styles.py clips neon                 rendered clips in the style, as latents -> work/style-neon.npz
    python styles.py train neon --minutes 10    -> work/style-neon.pt
    python styles.py export neon                -> ../style-neon.safetensors (kohya names) and ../style-vae
    python styles.py check neon                 the checker's self-test on rendered clips of the style
"""
import argparse
import os
import time

import numpy as np
import torch
from scipy import ndimage

import checker
import data as D
from adapters import MODELS, base_parts, encode
from distill import add_lora
from export import kohya
from nets import ABAR, EMA, FrameNumbers, bf16, cosine, log, make_video_unet, noised, object_weight, save, tokens
from train import clock, pixel_loss, report, set_lr, to_float, update

STYLES = ("neon", "pencil")
PAPER, GRAPHITE = np.array((246, 241, 228), np.float32), np.array((58, 58, 66), np.float32)


# ------------------------------------------------------------------ drawing
LINES = {"night sky": (120, 90, 255), "sunset": (255, 70, 140), "green meadow": (60, 255, 120), "blue sea": (40, 190, 255)}
_backgrounds = {}


def background(style, name):
    if (style, name) not in _backgrounds:
        b = D.background(name)
        grey = b @ np.array((0.3, 0.59, 0.11), np.float32)
        plain = ndimage.median_filter(grey, 9)  # without stars and flowers
        sparks = np.clip(np.abs(grey - plain) / 60, 0, 1) * (0 if name == "blue sea" else 1)
        contours = lambda width: np.clip(ndimage.gaussian_gradient_magnitude(grey if name == "blue sea" else plain, width) / 14, 0, 1)
        if style == "neon":  # the scene in the dark, its outlines glowing
            line = np.array(LINES[name], np.float32)
            im = 0.18 * b + np.array((4, 2, 18), np.float32)
            im = D._mix(im, line, 0.75 * contours(1.2)) + 0.25 * contours(4.0)[..., None] * line
            im = D._mix(im, 0.5 * line + 127, 0.8 * sparks)
        else:  # a tinted drawing on paper
            im = D._mix(PAPER - 0 * b, b, np.full((D.SIZE, D.SIZE), 0.45 if name == "night sky" else 0.30, np.float32))
            im = D._mix(im, GRAPHITE, np.clip(0.55 * contours(1.2) + 0.5 * sparks, 0, 1))
        _backgrounds[style, name] = np.clip(im, 0, 255).astype(np.float32)
    return _backgrounds[style, name]


def draw(style, im, colour, shape, cx, cy, r):
    x, y = D.XX - np.float32(cx), D.YY - np.float32(cy)
    d = D.sdf(shape, x, y, r)
    base = np.array(D.COLOURS[colour], np.float32)
    if style == "neon":  # a glowing body, a tube along the edge, light around it
        im = D._mix(im, 0.50 * base, D.smooth(0.7, -0.7, d))
        im = im + 0.5 * np.exp(-np.abs(d) / 4.5)[..., None] * base
        im = D._mix(im, 0.25 * base + 0.75 * 255 * (base / base.max()), D.smooth(3.2, 1.6, np.abs(d + 2.2)))
        return D._mix(im, (255, 255, 255), 0.35 * D.smooth(1.8, 0.6, np.abs(d + 2.2)))
    hatch = 0.72 + 0.16 * np.sin((x + y) * (2 * np.pi / 7))  # coloured pencil, strokes from lower left to upper right
    fill = D._mix(PAPER + 0 * im, base, hatch.astype(np.float32))
    im = im + (fill - im) * D.smooth(0.7, -0.7, d)[..., None]
    return D._mix(im, GRAPHITE, 0.9 * D.smooth(2.2, 1.0, np.abs(d + 1.2)))


def frame(style, combo, state):
    im = draw(style, background(style, combo[3]).copy(), combo[0], combo[1], *(float(v) for v in state))
    return np.clip(im + 0.5, 0, 255).astype(np.uint8)


def render(style, combo, states):
    return np.stack([frame(style, combo, s) for s in states])


def checker_for(style):
    """the checker, told how the style draws"""
    checker.BGS = {b: background(style, b) for b in D.BACKGROUNDS}
    checker._colours.clear()
    for c in D.CNAMES:
        px = []
        for s in D.SHAPES:
            im = draw(style, background(style, "night sky").copy(), c, s, 64, 62, 20)
            px.append(im[D.sdf(s, D.XX - 64, D.YY - 62, 20) < -4])
        checker._colours[c] = np.median(np.concatenate(px), 0)
    checker.THRESHOLD = 110 if style == "neon" else 34  # the tube, not its light
    hue = (lambda c: c / (c.max() + 1)) if style == "neon" else (lambda c: c)  # dark body, bright tube, one hue
    checker.colour_distance = lambda a, b: np.linalg.norm(hue(a) - hue(b))
    return checker.check


# ------------------------------------------------------------------ stages
def style_clip(i):
    combo = D.train_combos(8)[i % len(D.TRAIN)]
    return combo, D.trajectory(combo[2], np.random.RandomState(32_000_000 + i))


def stage_clips(a):
    vae = base_parts()[2].to(memory_format=torch.channels_last)
    x, states = [], []
    for i in range(a.n):
        combo, s = style_clip(i)
        x.append(encode(vae, render(a.style, combo, s)).half().numpy())
        states.append(s.astype(np.float32))
        if (i + 1) % 100 == 0 or i + 1 == a.n:
            np.savez(f"{a.work}/style-{a.style}.npz", x=np.stack(x), states=np.stack(states))
            log(a.style, "clips", i + 1)


def stage_vae(a):
    """Personalised models bring an autoencoder of their own. The encoder here stays the base model's, so that the
    latents of both styles can be made before its decoder has learnt them."""
    torch.manual_seed(52)
    rng = np.random.RandomState(52)
    vae, first = base_parts()[2].to(memory_format=torch.channels_last), 0
    if a.resume:
        ck = torch.load(f"{a.work}/style-vae.pt")
        vae.load_state_dict(ck["sd"])
        first = ck["step"]
        rng.seed(52 + first)
    params = list(vae.decoder.parameters()) + list(vae.post_quant_conv.parameters())
    for p in params:
        p.requires_grad_(True)
    opt = torch.optim.AdamW(params, lr=1e-3, betas=(0.9, 0.97), weight_decay=0.0, fused=True)
    ema, last = EMA(params, 0.99), time.time()
    keep = lambda step: save(dict(step=step, sd={k: v.clone() for k, v in vae.state_dict().items()}), f"{a.work}/style-vae.pt")
    for step, done in clock(a):
        step += first
        set_lr(opt, cosine(done, 1e-3, flat=0.2), step - first, 20)
        x, b = [], []
        for style in STYLES * 2:
            c = D.ALL[rng.randint(len(D.ALL))]
            x.append(frame(style, c, D.trajectory(c[2], rng)[rng.randint(D.FRAMES)]))
            b.append(background(style, c[3]).astype(np.uint8))
        x, b = (to_float(np.stack(v)).contiguous(memory_format=torch.channels_last) for v in (x, b))
        with torch.no_grad(), bf16():
            z = vae.encode(x).latent_dist.mean
        z = z.float() + torch.randn_like(z) * 0.04 * torch.rand(len(x), 1, 1, 1) / vae.config.scaling_factor
        with bf16():
            y = vae.decode(z.contiguous(memory_format=torch.channels_last)).sample.float()
        loss = pixel_loss(y, x, b)
        update(loss, opt, params, ema)
        report("vae", step, done, 40, loss=loss, psnr=10 * torch.log10(4 / ((y - x) ** 2).mean()))
        if time.time() - last > 120:
            ema.swap()
            keep(step + 1)
            ema.swap()
            last = time.time()
    ema.swap()
    keep(step + 1)


def teacher():
    """the base model with its own motion modules, as it ships"""
    from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel
    m = UNetMotionModel.from_unet2d(
        UNet2DConditionModel.from_pretrained(f"{MODELS}/base/unet", torch_dtype=torch.float32),
        MotionAdapter.from_pretrained(f"{MODELS}/motion-teacher", torch_dtype=torch.float32))
    return make_video_unet(m.state_dict()).requires_grad_(False)


def stage_train(a):
    torch.manual_seed(51)
    rng = np.random.RandomState(51)
    f = np.load(f"{a.work}/style-{a.style}.npz")
    x, states = f["x"], f["states"]
    tok, text, _ = base_parts()
    m = teacher()
    lora, first = add_lora(m, a.rank), 0
    if a.resume:
        ck = torch.load(f"{a.work}/style-{a.style}.pt")
        first = ck["step"]
        rng.seed(51 + first)
        for n, q in lora.items():
            q.down.data.copy_(ck["lora"][n]["down"])
            q.up.data.copy_(ck["lora"][n]["up"])
    params = [p for q in lora.values() for p in q.parameters()]
    opt = torch.optim.AdamW(params, lr=a.lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    ema, last, n = EMA(params, 0.98), time.time(), 16
    for step, done in clock(a):
        step += first
        set_lr(opt, cosine(done, a.lr, 0.05, 0.2), step - first, 20)
        i, k = rng.randint(0, len(x), n), rng.randint(0, 16, n)
        FrameNumbers.idx = torch.from_numpy(k)[:, None]
        z = torch.from_numpy(x[i, k]).float()[:, :, None]
        u = (torch.randperm(n) + torch.rand(n)) / n
        t = torch.where(torch.rand(n) < 0.4, 450 + 450 * u, 1000 * u).long().clamp(max=999)
        eps = torch.randn_like(z)
        with torch.no_grad():
            caps = ["" if rng.rand() < 0.1 else D.caption(*style_clip(j)[0], rng) for j in i]
            c = text(tokens(tok, caps)).last_hidden_state
        with bf16(), torch.nn.utils.parametrize.cached():
            e = m(noised(z, t, eps), t, c).sample.float()
        err = ((e - eps) ** 2).mean((1, 2)) * object_weight(states[i, k], t, 3.0)
        loss = (err.mean((1, 2)) * (1 / ABAR[t]).clamp(max=100)).mean()
        update(loss, opt, params, ema)
        report(a.style, step, done, 40, loss=loss)
        if time.time() - last > 120:
            checkpoint(a, m, lora, ema, step)
            last = time.time()
    checkpoint(a, m, lora, ema, step)
    log("done", step + 1)


def checkpoint(a, m, lora, ema, step):
    ema.swap()
    save(dict(step=step + 1, lora={n: dict(down=q.down.detach().clone(), up=q.up.detach().clone(), shape=tuple(m.get_submodule(n).weight.shape))
                                   for n, q in lora.items()}), f"{a.work}/style-{a.style}.pt")
    ema.swap()


def stage_export(a):
    from safetensors.torch import save_file
    lora = kohya(torch.load(f"{a.work}/style-{a.style}.pt")["lora"])
    save_file(lora, f"{a.out}/style-{a.style}.safetensors", metadata={"format": "pt"})
    vae = base_parts()[2]
    vae.load_state_dict(torch.load(f"{a.work}/style-vae.pt")["sd"])
    vae.register_to_config(_name_or_path="")  # not the path of this machine
    vae.half().save_pretrained(f"{a.out}/style-vae")


def stage_check(a):
    check, combos = checker_for(a.style), D.combos(a.n or 100, 77)
    clips = [render(a.style, c, D.trajectory(c[2], np.random.RandomState(900_000 + i))) for i, c in enumerate(combos)]
    print(a.style, checker.score([check(v) for v in clips], combos))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("stage", choices=["vae", "clips", "train", "export", "check"])
    ap.add_argument("style", nargs="?", choices=STYLES, default=STYLES[0])
    ap.add_argument("--work", default="work")
    ap.add_argument("--out", default="..")
    ap.add_argument("--n", type=int, default=400, help="clips")
    ap.add_argument("--minutes", type=float, default=10)
    ap.add_argument("--start", type=float, default=0.0)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--rank", type=int, default=8)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--resume", action="store_true", help="vae and train: from their checkpoints")
    a = ap.parse_args()
    os.makedirs(a.work, exist_ok=True)
    torch.set_num_threads(a.threads)
    globals()["stage_" + a.stage](a)


if __name__ == "__main__":
    main()
