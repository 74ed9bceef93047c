"""The shapes model, trained from nothing on a CPU: every stage of AnimateLCM at toy size.

    python train.py tokenizer                 CLIP tokenizer over the caption words
    python train.py vae       --minutes 30    autoencoder
    python train.py latents                   two passes of training clips (and the held-out ones) as latents
    python train.py decoder   --minutes 8     the decoder alone, for crisp stars and flowers
    python train.py image     --minutes 50    text-to-image UNet and text encoder
    python train.py words                     keep the motion words apart in the text encoder
    python train.py motion    --minutes 100   motion modules and all the rest: the teacher
    python distill.py image   --minutes 7     LCM-LoRA on single frames
    python distill.py video   --minutes 30    video consistency distillation
    python export.py                          f16 diffusers folders

Everything is kept in work/ (--work). --resume continues a stage from its checkpoint.
"""
import argparse
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import data as D
from nets import (ABAR, ALPHA, EMA, SIGMA, bf16, build_tokenizer, cosine, log, make_text, make_unet, make_vae,
                  make_video_unet, noised, object_weight, save, tokens, FrameNumbers, SharedTextAttention)

CL = torch.channels_last
PASSES = 2  # passes over the 864 training combinations, each clip with its own positions and sizes


def to_float(u8):
    """uint8 (n, h, w, 3) to float (n, 3, h, w) in [-1, 1]"""
    return torch.from_numpy(np.ascontiguousarray(u8)).permute(0, 3, 1, 2).float() / 127.5 - 1


def tokenizer(a):
    from transformers import CLIPTokenizer
    folder = f"{a.work}/tokenizer"
    return CLIPTokenizer.from_pretrained(folder) if os.path.exists(folder) else build_tokenizer(folder)


# ------------------------------------------------------------------ autoencoder
def pixel_loss(y, x, background):
    """L1, L1 of the gradients and a little MSE; the object counts 3 times, fine detail 3 times more"""
    dx, dy = lambda q: q[..., 1:] - q[..., :-1], lambda q: q[..., 1:, :] - q[..., :-1, :]
    detail = (x - F.avg_pool2d(x, 9, 1, 4, count_include_pad=False)).abs().amax(1, keepdim=True) > 0.15
    w = 1 + 2 * ((x - background).abs().amax(1, keepdim=True) > 0.05).float() + 3 * detail.float()
    edges = ((dx(y) - dx(x)).abs() * w[..., 1:]).mean() + ((dy(y) - dy(x)).abs() * w[..., 1:, :]).mean()
    return ((y - x).abs() * w).mean() + edges + 2 * ((y - x) ** 2 * w).mean()


def random_frames(rng, n):
    """n frames of n random clips and their empty backgrounds"""
    combo = [D.ALL[i] for i in rng.randint(0, len(D.ALL), n)]
    x = [D.frame(c, D.trajectory(c[2], rng)[rng.randint(D.FRAMES)]) for c in combo]
    b = [D.background(c[3]).astype(np.uint8) for c in combo]
    return to_float(np.stack(x)), to_float(np.stack(b))


def load_vae(a):
    ck = torch.load(f"{a.work}/vae.pt")
    vae = make_vae()
    vae.load_state_dict(ck["sd"])
    vae.register_to_config(scaling_factor=ck["scale"])
    return vae.eval().requires_grad_(False)


def fold_latent_stats(vae, mean, std):
    """zero mean and equal deviation for every latent channel: the affine map is folded into the convolutions next to
    the latent. Returns the scaling factor to unit deviation."""
    with torch.no_grad():
        s = std.mean() / std  # z' = (z - mean) * s
        q, p = vae.quant_conv, vae.post_quant_conv
        q.weight[:4] *= s.view(4, 1, 1, 1)
        q.bias[:4] = (q.bias[:4] - mean) * s
        q.bias[4:] += 2 * torch.log(s)
        p.bias += p.weight[:, :, 0, 0] @ mean
        p.weight /= s.view(1, 4, 1, 1)
    return round(float(1 / std.mean()), 5)


def stage_vae(a):
    torch.manual_seed(1)
    rng = np.random.RandomState(1)
    vae = make_vae().to(memory_format=CL)
    opt = torch.optim.AdamW(vae.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.0)
    ema = EMA(vae.parameters(), 0.995)
    for step, done in clock(a):
        set_lr(opt, cosine(done, 1e-3), step)
        x, b = random_frames(rng, 16)
        if done < 0.7:  # 64 x 64 crops first: four times as many steps in the same time
            oy, ox = 8 * rng.randint(0, 9, 2)
            x, b = (v[..., oy:oy + 64, ox:ox + 64].contiguous(memory_format=CL) for v in (x, b))
        with bf16():
            post = vae.encode(x).latent_dist
            y = vae.decode(post.mean + post.std * torch.randn_like(post.mean)).sample.float()
        m, lv = post.mean.float(), post.logvar.float()
        loss = pixel_loss(y, x, b) + 1e-5 * 0.5 * (m * m + lv.exp() - 1 - lv).mean()
        update(loss, opt, vae.parameters(), ema)
        report("vae", step, done, loss=loss, psnr=10 * torch.log10(4 / ((y - x) ** 2).mean()))
    ema.swap()
    x = random_frames(rng, 256)[0]
    with torch.no_grad():
        z = torch.cat([vae.encode(v).latent_dist.mean for v in x.split(16)])
    scale = fold_latent_stats(vae, z.mean((0, 2, 3)), z.std((0, 2, 3)))
    save(dict(sd=vae.state_dict(), scale=scale), f"{a.work}/vae.pt")


def stage_decoder(a):
    """The encoder, and with it every latent, stays as it is. A little noise on the latents stands for those that a
    UNet will make."""
    torch.manual_seed(31)
    rng = np.random.RandomState(31)
    vae = load_vae(a).to(memory_format=CL)
    params = list(vae.decoder.parameters()) + list(vae.post_quant_conv.parameters())
    for p in params:
        p.requires_grad_(True)
    opt = torch.optim.AdamW(params, lr=8e-4, betas=(0.9, 0.97), weight_decay=0.0, fused=True)
    ema = EMA(params, 0.99)
    for step, done in clock(a):
        set_lr(opt, cosine(done, 8e-4, flat=0), step)
        x, b = random_frames(rng, 4)
        with torch.no_grad(), bf16():
            z = vae.encode(x.contiguous(memory_format=CL)).latent_dist.mean
        z = z.float() + torch.randn_like(z) * 0.04 * torch.rand(4, 1, 1, 1) / vae.config.scaling_factor
        with bf16():
            y = vae.decode(z.contiguous(memory_format=CL)).sample.float()
        loss = pixel_loss(y, x, b)
        update(loss, opt, params, ema)
        report("decoder", step, done, loss=loss, psnr=10 * torch.log10(4 / ((y - x) ** 2).mean()))
    ema.swap()
    save(dict(sd=vae.state_dict(), scale=vae.config.scaling_factor), f"{a.work}/vae.pt")


def stage_latents(a):
    vae = load_vae(a).to(memory_format=CL)
    sets = [(D.train_combos(p), 20_000_000 + p * 10_000) for p in range(PASSES)] + [(D.HELD, 20_090_000)]
    out = [], []
    for combos, seed in sets:
        for i, c in enumerate(combos):
            v, states = D.render_video(*c, np.random.RandomState(seed + i))
            with torch.inference_mode(), bf16():
                z = vae.encode(to_float(v).contiguous(memory_format=CL)).latent_dist.mean
            out[0].append((z.float() * vae.config.scaling_factor).half().numpy())
            out[1].append(states.astype(np.float32))
        log("latents", len(out[0]))
    np.savez(f"{a.work}/latents.npz", x=np.stack(out[0]), states=np.stack(out[1]))


class Clips:
    """the training latents; batches of frame subsets with their captions"""

    def __init__(self, a, rng, size_weight=1.0):
        f = np.load(f"{a.work}/latents.npz")
        self.x, self.states, self.rng = f["x"], f["states"], rng
        self.combos = [c for p in range(PASSES) for c in D.train_combos(p)]
        self.held = len(self.combos)  # the held-out clips lie behind the training clips
        p = np.array([size_weight if c[2] in ("growing", "shrinking") else 1.0 for c in self.combos])
        self.p = p / p.sum()

    def batch(self, clips, frames, lean=None):
        """latents (b, c, f, h, w), trajectory rows, combinations, frame numbers; `lean` prefers some frames"""
        idx = self.rng.choice(len(self.combos), clips, p=self.p)
        lean = np.zeros(16) if lean is None else lean
        fr = np.sort(np.argsort(-lean - self.rng.gumbel(size=(clips, 16)), 1)[:, :frames], 1)
        x = torch.from_numpy(self.x[idx[:, None], fr]).float().permute(0, 2, 1, 3, 4)
        return x, self.states[idx[:, None], fr].reshape(-1, 3), [self.combos[i] for i in idx], torch.from_numpy(fr)

    def caption(self, c, empty=0.1, p_motion=0.97):
        u = self.rng.rand()
        if u < empty:
            return ""
        return D.canonical(*c) if u < empty + 0.15 else D.caption(*c, self.rng, p_motion=p_motion)


# ------------------------------------------------------------------ small helpers of the loops
def clock(a):
    """(step, share of the time used): schedules follow the time, so a busy machine still anneals"""
    t0, step = time.time(), 0
    while (done := a.start + (1 - a.start) * (time.time() - t0) / 60 / a.minutes) < 1:
        yield step, done
        step += 1


def set_lr(opt, lr, step, warm=100):
    for g in opt.param_groups:
        g["lr"] = lr * min(1, (step + 1) / warm) * g.get("share", 1.0)


def update(loss, opt, params, ema):
    loss.backward()
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    opt.step()
    opt.zero_grad(set_to_none=True)
    ema.update()


_sums = {}


def report(name, step, done, every=100, **values):
    for k, v in values.items():
        _sums.setdefault(k, []).append(float(v.detach() if torch.is_tensor(v) else v))
    if (step + 1) % every == 0:
        log(name, step + 1, f"{done:.3f}", {k: round(float(np.mean(v)), 4) for k, v in _sums.items()})
        _sums.clear()


def snapshot(ema, **nets):
    """averaged weights for use, raw_ weights to continue with"""
    out = {"raw_" + n: {k: v.clone() for k, v in m.state_dict().items()} for n, m in nets.items()}
    ema.swap()
    out.update({n: {k: v.clone() for k, v in m.state_dict().items()} for n, m in nets.items()})
    ema.swap()
    return out


# ------------------------------------------------------------------ text to image
def stage_image(a):
    """Noise loss, weighted by 1 / abar (up to 20) so that the noisy steps, which decide the layout, learn the prompt;
    two fifths of the timesteps lie in 450..900, where the shape is decided."""
    torch.manual_seed(2)
    clips = Clips(a, np.random.RandomState(2))
    tok = tokenizer(a)
    text, unet = make_text(tok), make_unet()
    unet.set_attn_processor(SharedTextAttention())
    params = list(unet.parameters()) + list(text.parameters())
    opt = torch.optim.AdamW(params, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    ema = EMA(params, 0.995)
    for step, done in clock(a):
        set_lr(opt, cosine(done, 1e-3), step)
        x, states, combos, _ = clips.batch(32, 1)
        x = x[:, :, 0]
        t = torch.where(torch.rand(32) < 0.4, torch.randint(450, 900, (32,)), torch.randint(0, 1000, (32,)))
        eps = torch.randn_like(x)
        xt = ALPHA[t].view(-1, 1, 1, 1) * x + SIGMA[t].view(-1, 1, 1, 1) * eps
        with bf16():
            c = text(tokens(tok, [clips.caption(q, p_motion=0.6) for q in combos])).last_hidden_state
            e = unet(xt, t, c).sample.float()
        err = ((e - eps) ** 2).mean(1) * object_weight(states, t, 4.0)
        loss = (err.mean((1, 2)) * (1 / ABAR[t]).clamp(max=20)).mean()
        update(loss, opt, params, ema)
        report("image", step, done, loss=loss)
    save(snapshot(ema, unet=unet, text=text), f"{a.work}/image.pt")


# ------------------------------------------------------------------ motion words
MOTION_WORDS = [["left"], ["right"], ["up", "upwards"], ["down", "downwards"],
                ["growing", "grows", "bigger"], ["shrinking", "shrinks", "smaller"]]


def stage_words(a):
    """Still images give motion words no meaning, so the text encoder maps all six to one vector, and nothing later can
    tell them apart. Here it learns to add one of six fixed vectors, in directions it hardly uses, to its output at the
    motion word and after it. (A text encoder pre-trained on the world's captions would not need this.)"""
    torch.manual_seed(6)
    rng = np.random.RandomState(6)
    tok = tokenizer(a)
    ck = torch.load(f"{a.work}/image.pt")
    new, old = make_text(tok), make_text(tok)
    old.load_state_dict(ck["raw_text"])
    new.load_state_dict(ck["raw_text"])
    old.requires_grad_(False)
    word = {tok(q).input_ids[1]: i for i, ws in enumerate(MOTION_WORDS) for q in ws}
    with torch.no_grad():
        h = old(tokens(tok, [D.caption(*c, rng) for c in D.combos(400, 1)])).last_hidden_state[:, 1:30].reshape(-1, 96)
        vectors = torch.linalg.eigh(torch.cov(h.T))[1][:, 10:16].T * 4.0
        fresh = torch.linalg.qr(torch.randn(96, 8))[0].T
        for q, i in word.items():
            new.text_model.embeddings.token_embedding.weight[q] = 2.0 * fresh[i]
    opt = torch.optim.AdamW(new.parameters(), lr=1e-3, weight_decay=0.0)
    for step in range(200):
        set_lr(opt, cosine(step / 200, 1e-3), step, 20)
        ids = tokens(tok, [D.caption(*D.ALL[i], rng, p_motion=0.95) for i in rng.randint(0, 960, 63)] + [""])
        with torch.no_grad():
            seen = torch.zeros(ids.shape + (6,))
            for q, i in word.items():
                seen[..., i] += (ids == q).float()
            goal = old(ids).last_hidden_state + (seen.cumsum(1) > 0).float() @ vectors
        loss = F.mse_loss(new(ids).last_hidden_state, goal)
        loss.backward()
        opt.step()
        opt.zero_grad()
        report("words", step, step / 200, 50, loss=loss)
    ck["raw_text"] = new.state_dict()
    save(ck, f"{a.work}/words.pt")


# ------------------------------------------------------------------ motion
OPPOSITE = {"moving left": "moving right", "moving right": "moving left", "moving up": "moving down",
            "moving down": "moving up", "growing": "shrinking", "shrinking": "growing"}
# (frames, clips, share) of a step: few frames teach what a word means for the first and the last frame, all 16 the movement
EARLY = [(4, 8, .48), (1, 24, .24), (16, 2, .28)]
LATE = [(4, 8, .28), (1, 24, .06), (16, 2, .66)]


def stage_motion(a):
    """The teacher. Motion words reach the motion modules only through the spatial layers and the text encoder, so
    these train along, at half the rate. Half of the timesteps lie above 600, where the motion is decided."""
    torch.manual_seed(13)
    rng = np.random.RandomState(13)
    clips = Clips(a, rng, a.size_weight)
    tok = tokenizer(a)
    text = make_text(tok)
    path = f"{a.work}/teacher.pt"
    if a.resume:
        ck = torch.load(path)
        m = make_video_unet(ck["raw_unet"])
    else:
        ck = torch.load(f"{a.work}/words.pt")
        m = make_video_unet()
        m.load_state_dict(ck["raw_unet"], strict=False)  # the image model has no motion modules
    text.load_state_dict(ck["raw_text"])
    motion = [p for n, p in m.named_parameters() if "motion_modules" in n]
    rest = [p for n, p in m.named_parameters() if "motion_modules" not in n] + list(text.parameters())
    params = motion + rest
    opt = torch.optim.AdamW([dict(params=motion), dict(params=rest, share=0.5)], lr=1e-3, betas=(0.9, 0.99),
                            weight_decay=0.01, fused=True)
    if a.resume:
        opt.load_state_dict(ck["opt"])
    ema, last = EMA(params, 0.997), time.time()
    z = (np.arange(16) - 7.5) / 7.5
    for step, done in clock(a):
        set_lr(opt, cosine(done, 1e-3), step)
        mix = EARLY if done < 0.58 else LATE
        frames, n, _ = mix[rng.choice(3, p=[q[2] for q in mix])]
        lean = 0.8 * abs(z) if frames == 4 else 1.6 * z if frames == 1 else None
        x, states, combos, FrameNumbers.idx = clips.batch(n, frames, lean)
        u = (torch.randperm(n) + torch.rand(n)) / n  # stratified over the batch
        t = torch.where(torch.rand(n) < 0.5, 600 + 400 * u, torch.where(torch.rand(n) < 0.4, 450 + 450 * u, 1000 * u))
        t = t.long().clamp(max=999)
        eps = torch.randn_like(x)
        with bf16():
            c = text(tokens(tok, [clips.caption(q) for q in combos])).last_hidden_state
            e = m(noised(x, t, eps), t, c).sample.float()
        err = ((e - eps) ** 2).mean(1)
        err = err * object_weight(states, t.repeat_interleave(frames), 4.0).view_as(err)
        loss = (err.mean((1, 2, 3)) * (1 / ABAR[t]).clamp(max=100)).mean()
        update(loss, opt, params, ema)
        report("motion", step, done, loss=loss)
        if (step + 1) % 300 == 0:
            probe(m, text, tok, clips)
        if time.time() - last > 150:
            save(dict(snapshot(ema, unet=m, text=text), opt=opt.state_dict()), path)
            last = time.time()
    save(dict(snapshot(ema, unet=m, text=text), opt=opt.state_dict()), path)


@torch.no_grad()
def probe(m, text, tok, clips, n=24):
    """The number to watch: how much worse is the prediction on held-out clips when the prompt names the opposite
    motion? The loss hardly shows whether motion words are obeyed."""
    frames = [0, 5, 10, 15]
    FrameNumbers.idx = torch.tensor(frames)[None].repeat(n, 1)
    x = torch.from_numpy(clips.x[clips.held:clips.held + n][:, frames]).float().permute(0, 2, 1, 3, 4)
    g, rows = torch.Generator().manual_seed(0), D.HELD[:n]
    moves = torch.tensor([c[2].startswith("moving") for c in rows])
    for level in (700, 850, 960):
        t, eps, err = torch.full((n,), level), torch.randn(x.shape, generator=g), []
        for flip in (False, True):
            caps = [D.canonical(c[0], c[1], OPPOSITE[c[2]] if flip else c[2], c[3]) for c in rows]
            with bf16():
                e = m(noised(x, t, eps), t, text(tokens(tok, caps)).last_hidden_state).sample.float()
            err.append(((e - eps) ** 2).mean((1, 2, 3, 4)) / ABAR[level])
        gain = err[1] - err[0]
        log(f"probe t={level}: opposite word costs {gain[moves].mean():.4f} (moving) {gain[~moves].mean():.4f} (size)")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("stage", choices=["tokenizer", "vae", "latents", "decoder", "image", "words", "motion"])
    ap.add_argument("--work", default="work")
    ap.add_argument("--minutes", type=float, default=30)
    ap.add_argument("--start", type=float, default=0.0, help="where in its schedule a stage starts (with --resume)")
    ap.add_argument("--size-weight", type=float, default=2.5, help="how much more often growing and shrinking are drawn")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--resume", action="store_true")
    a = ap.parse_args()
    os.makedirs(a.work, exist_ok=True)
    torch.set_num_threads(a.threads)
    tokenizer(a) if a.stage == "tokenizer" else globals()["stage_" + a.stage](a)


if __name__ == "__main__":
    main()
