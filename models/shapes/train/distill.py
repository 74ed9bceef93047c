"""Consistency distillation of the teacher, decoupled as in AnimateLCM.

    python distill.py image   LCM-LoRA on the spatial layers, single frames, motion modules untouched
    python distill.py video   LoRA and motion modules on clips; the LoRA enters the online network only

Each step noises a clip to t, lets the teacher (with guidance) go one DDIM step down to s, and asks the online network
at t for what its own running average says at s. The targets of a run therefore lead down to the data at t = 0.
"""
import argparse
import math
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.utils.parametrize as P

import data as D
from nets import (ALPHA, EMA, SIGMA, FrameNumbers, bf16, cosine, log, make_text, make_video_unet, noised,
                  object_weight, per_clip, save, tokens)
from train import Clips, clock, report, set_lr, tokenizer, update

# the 14 layer types of LCM-LoRA
LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2",
                "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj")
# places in the 50-step grid of the timesteps that 8, 4 and 2 inference steps use: half of the training goes there
INFERENCE = torch.tensor([49, 43, 37, 31, 24, 18, 12, 6])


class LoRA(nn.Module):
    """weight + up @ down; for a k x k convolution down is k x k and up is 1 x 1, as in kohya's files"""

    def __init__(self, w, rank):
        super().__init__()
        fan = w[0].numel()
        self.down = nn.Parameter(torch.randn(rank, fan) / math.sqrt(fan))
        self.up = nn.Parameter(torch.zeros(w.shape[0], rank))

    def forward(self, w):
        return w + (self.up @ self.down).view_as(w)


def add_lora(m, rank):
    out = {}
    for n, mod in list(m.named_modules()):
        if "motion_modules" in n or not n.endswith(LORA_TARGETS) or not hasattr(mod, "weight"):
            continue
        out[n] = LoRA(mod.weight, rank)
        P.register_parametrization(mod, "weight", out[n])
        mod.parametrizations.weight.original.requires_grad_(False)
    return out


class Student:
    """the teacher's weights with a LoRA and motion modules that can train"""

    def __init__(self, state, rank, motion, train):
        self.net = make_video_unet(state).requires_grad_(False)
        self.lora = add_lora(self.net, rank)
        self.lora_params = [p for q in self.lora.values() for p in q.parameters()]
        self.motion_params = [p for n, p in self.net.named_parameters() if "motion_modules" in n] if motion else []
        self.params = self.lora_params + self.motion_params
        for p in self.params:
            p.requires_grad_(train)

    @torch.no_grad()
    def copy(self, params):
        for p, q in zip(self.params, params):
            p.copy_(q)

    def weights(self):
        """what an export needs"""
        return dict(
            motion={n: p.detach().clone() for n, p in self.net.named_parameters() if "motion_modules" in n},
            lora={n: dict(down=q.down.detach().clone(), up=q.up.detach().clone(),
                          shape=tuple(self.net.get_submodule(n).weight.shape)) for n, q in self.lora.items()})


def x0(e, x, t, alpha=ALPHA, sigma=SIGMA):
    return (x - per_clip(sigma[t]) * e) / per_clip(alpha[t])


def consistency(e, x, t, alpha=ALPHA, sigma=SIGMA):
    """c_skip x + c_out x0 with sigma_data 0.5 and timestep scaling 10: the identity at t = 0"""
    s = t.float() * 10
    return per_clip(0.25 / (s * s + 0.25)) * x + per_clip(s / (s * s + 0.25).sqrt()) * x0(e, x, t, alpha, sigma)


def predict(m, x, t, c, frames):
    FrameNumbers.idx = frames
    with bf16(), P.cached():
        return m(x, t, c).sample.float()


@torch.no_grad()
def teacher_step(teacher, x, t, s, c, empty, frames, w):
    """one DDIM step from t to s with guidance 1 + w; no second pass where w is 0"""
    g = torch.nonzero(w > 0)[:, 0]
    e = predict(teacher, torch.cat([x, x[g]]), torch.cat([t, t[g]]), torch.cat([c, empty.expand(len(g), -1, -1)]),
                torch.cat([frames, frames[g]]))
    cond, diff = e[:len(x)], torch.zeros_like(x)
    diff[g] = cond[g] - e[len(x):]
    e = cond + per_clip(w) * diff
    return noised(x0(e, x, t), s, e)


def distill(a):
    video = a.stage == "video"
    torch.manual_seed(21 + video)
    rng = np.random.RandomState(21 + video)
    clips, tok = Clips(a, rng, 1.5), tokenizer(a)
    ck = torch.load(f"{a.work}/teacher.pt")
    text = make_text(tok)
    text.load_state_dict(ck["text"])
    text.requires_grad_(False)
    teacher = make_video_unet(ck["unet"]).requires_grad_(False)
    online, target = Student(ck["unet"], a.rank, video, True), Student(ck["unet"], a.rank, video, False)
    target.copy(online.params)
    path = f"{a.work}/lcm-{a.stage}.pt"
    groups = [dict(params=online.lora_params)] + ([dict(params=online.motion_params, share=a.motion_lr)] if video else [])
    opt = torch.optim.AdamW(groups, lr=a.lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    if a.resume:
        st = torch.load(path)
        opt.load_state_dict(st["opt"])
        online.copy(st["params"])
        target.copy(st["target"])
    elif video:
        # the image LoRA goes into the online network only; the target starts as the teacher and takes the LoRA over
        # through its average (same `down`, `up` zero)
        lora = torch.load(f"{a.work}/lcm-image.pt")["lora"]
        with torch.no_grad():
            for n, q in online.lora.items():
                q.down.copy_(lora[n]["down"])
                q.up.copy_(lora[n]["up"])
                target.lora[n].down.copy_(lora[n]["down"])
    ema, last = EMA(online.params, 0.99), time.time()
    empty = text(tokens(tok, [""])).last_hidden_state
    for step, done in clock(a):
        set_lr(opt, cosine(done, a.lr, 0.05, 0.15), step, 40)
        few = video and rng.rand() < (1 / 3 if done < 0.5 else 0.2)
        frames, n = (1, 32) if not video else (4, 8) if few else (16, 2)
        x, states, combos, fr = clips.batch(n, frames)
        u = (torch.randperm(n) + torch.rand(n)) / n
        k = torch.where(torch.rand(n) < 0.5, (u * 50).long(), INFERENCE[(u * 8).long().clamp(max=7)]).clamp(max=49)
        # long teacher steps first: the knowledge of small t travels to large t in fewer hops
        jump = torch.tensor(rng.choice([3, 5, 7] if done < 0.5 else [2, 3, 4], n))
        t = k * 20 + 19
        s = (t - 20 * jump).clamp(min=0)
        xt = noised(x, t, torch.randn_like(x))
        with torch.no_grad():
            c = text(tokens(tok, [clips.caption(q, empty=0.05) for q in combos])).last_hidden_state
            # guidance is baked in where the prompt decides; below t = 300 the picture itself shows everything
            w = (a.wmin + (a.wmax - a.wmin) * torch.rand(n)) * (t > 300)
            xs = teacher_step(teacher, xt, t, s, c, empty, fr, w)
            goal = consistency(predict(target.net, xs, s, c, fr), xs, s)
        out = consistency(predict(online.net, xt, t, c, fr), xt, t)
        err = (torch.sqrt((out - goal) ** 2 + 1e-6) - 1e-3).mean(1)  # pseudo-Huber
        loss = (err * object_weight(states, t.repeat_interleave(frames), 3.0).view_as(err)).mean()
        update(loss, opt, online.params, ema)
        with torch.no_grad():
            d = min(0.95, (1 + step) / (10 + step))
            torch._foreach_mul_(target.params, d)
            torch._foreach_add_(target.params, [p.detach() for p in online.params], alpha=1 - d)
        report(a.stage, step, done, 40, loss=loss, to_data=(out - x).abs().mean())
        if time.time() - last > 150:
            checkpoint(path, online, target, opt, ema)
            last = time.time()
    checkpoint(path, online, target, opt, ema)
    log("done", path)


def checkpoint(path, online, target, opt, ema):
    ema.swap()
    w = online.weights()
    ema.swap()
    save(dict(w, params=[p.detach() for p in online.params], target=target.params, opt=opt.state_dict()), path)


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("stage", choices=["image", "video"])
    ap.add_argument("--work", default="work")
    ap.add_argument("--minutes", type=float, default=30)
    ap.add_argument("--start", type=float, default=0.0)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--motion-lr", type=float, default=0.25, help="learning rate of the motion modules, as a share of --lr")
    ap.add_argument("--rank", type=int, default=32)
    ap.add_argument("--wmin", type=float, default=1.0)
    ap.add_argument("--wmax", type=float, default=2.5)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--resume", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    distill(a)
