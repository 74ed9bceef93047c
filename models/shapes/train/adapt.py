"""Teacher-free adaptation: adapters for the AnimateLCM that ships, which stays as it is.

    python adapt.py i2v --minutes 60        image to video: picture encoder, motion   -> work/adapter-i2v.pt
    python adapt.py control --minutes 25    a ControlNet for blobs along a path       -> work/adapter-control.pt
    python adapt.py export                  f16 files ../motion-i2v and ../control-blob

Consistency training without a teacher: the clip x0 and the noise are known, so the next point of its path is the same
clip with less of the same noise. The adapted network at t is asked for what the running average of the adapter says
at s < t; the chain of targets ends at the clip itself at s = 0. Clips by adapters.py.
"""
import argparse
import copy
import json
import os
import time

import numpy as np
import torch

import data as D
from adapters import MODELS, ImageEncoder, Injection, adapter_clip, base_parts, blob, frozen_lcm, make_controlnet
from distill import INFERENCE, consistency
from nets import FrameNumbers, bf16, cosine, log, object_weight, per_clip, save, tokens
from train import clock, report, set_lr


# ------------------------------------------------------------------ noise
class Noise:
    """the schedule up to another last beta than the model's own: AnimateLCM-I2V runs at 0.014"""

    def __init__(self, beta_end):
        abar = torch.cumprod(1 - torch.linspace(0.00085, beta_end, 1000, dtype=torch.float64), 0).float()
        self.alpha, self.sigma = abar.sqrt(), (1 - abar).sqrt()

    def add(self, x, t, eps):
        return per_clip(self.alpha[t]) * x + per_clip(self.sigma[t]) * eps

    def denoise(self, e, x, t):
        """the consistency function: the identity at t = 0"""
        return consistency(e, x, t, self.alpha, self.sigma)


# ------------------------------------------------------------------ the two adapters
class I2VNet(torch.nn.Module):
    """all that AnimateLCM-I2V's file holds: the picture encoder, and motion modules that know what to do with it"""

    def __init__(self, unet):
        super().__init__()
        self.encoder = ImageEncoder()
        for n, p in self.encoder.named_parameters():  # small features at the start
            if n.startswith("conv_in") or ".block2." in n:
                p.data.mul_(0.3)
        self.motion_names = [n for n, _ in unet.named_parameters() if ".motion_modules." in n]
        self.motion = torch.nn.ParameterList(unet.get_parameter(n).detach().clone() for n in self.motion_names)


class I2V:
    """what the picture shows comes from the encoder, so half of the captions name the motion only"""
    beta_end, motion_scale = 0.014, 0.8

    def __init__(self):
        self.unet = frozen_lcm(per_frame_norm=True)
        self.injection = Injection(self.unet)
        self.net = I2VNet(self.unet)

    def groups(self):
        """the motion modules know most of their work already"""
        return [dict(params=list(self.net.encoder.parameters())), dict(params=list(self.net.motion), share=0.15)]

    def caption(self, combo, rng, _):
        if rng.rand() < 0.5:
            return D.caption(*combo, rng)
        return rng.choice(D.MOTION_PHRASES[combo[2]])

    def condition(self, x, frames, states):
        return x[:, 0]  # the latent of frame 0 [b, 4, 16, 16]

    def predict(self, net, x, t, text, frames, picture):
        FrameNumbers.idx = frames
        self.injection.features = net.encoder(picture, frames, self.motion_scale)
        motion = dict(zip(net.motion_names, net.motion))
        return torch.func.functional_call(self.unet, motion, (x, t, text)).sample.float()


class Control:
    """the path comes from the ControlNet, so the captions of free paths name no motion"""
    beta_end = 0.012

    def __init__(self):
        self.net = make_controlnet()
        self.unet = frozen_lcm()
        own = self.net.state_dict()
        start = {k: v for k, v in self.unet.state_dict().items() if k in own and v.shape == own[k].shape}
        self.net.load_state_dict(start, strict=False)
        self.net.to(memory_format=torch.channels_last)

    def groups(self):
        return [dict(params=list(self.net.parameters()))]

    def caption(self, combo, rng, i):
        return D.caption(*combo, rng, p_motion=0.7 if i % 4 == 0 else 0.0)

    def condition(self, x, frames, states):
        b = np.stack([blob(s) for s in states.reshape(-1, 3)])
        return torch.from_numpy(b)[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)

    def predict(self, net, x, t, text, frames, blobs):
        FrameNumbers.idx = frames
        b, f = frames.shape
        flat = x.transpose(1, 2).flatten(0, 1)
        down, mid = net(flat, t.repeat_interleave(f), text.repeat_interleave(f, 0), blobs, return_dict=False)
        return self.unet(x, t, text, down_block_additional_residuals=down, mid_block_additional_residual=mid).sample.float()


ADAPTERS = {"i2v": I2V, "control": Control}


# ------------------------------------------------------------------ training
# (frames, clips, share): few frames under their true numbers are cheap; all 16 teach the movement
EARLY = [(4, 4, .5), (1, 16, .2), (16, 1, .3)]
LATE = [(4, 4, .3), (1, 16, .1), (16, 1, .6)]


def train(a):
    torch.manual_seed(41)
    rng = np.random.RandomState(41)
    f = np.load(f"{a.work}/{a.stage}.npz")
    clips, states = f["x"], f["states"]
    combos = [adapter_clip(a.stage, i)[0] for i in range(len(clips))]
    tok, text, _ = base_parts()
    adapter, path = ADAPTERS[a.stage](), f"{a.work}/adapter-{a.stage}.pt"
    online, noise = adapter.net, Noise(adapter.beta_end)
    target, average = (copy.deepcopy(online).requires_grad_(False) for _ in range(2))
    params = list(online.parameters())
    opt = torch.optim.AdamW(adapter.groups(), lr=a.lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    first = 0
    if a.resume:
        st = torch.load(path)
        for net, key in ((online, "online"), (target, "target"), (average, "average")):
            net.load_state_dict(st[key])
        opt.load_state_dict(st["opt"])
        first = st["step"]
        rng.seed(41 + first)
    last = time.time()

    def predict(*args):
        with bf16():
            return adapter.predict(*args)

    for step, done in clock(a):
        step += first
        set_lr(opt, cosine(done, a.lr, 0.05, 0.15), step, 40)
        mix = EARLY if done < 0.5 else LATE
        k, n, _ = mix[rng.choice(3, p=[q[2] for q in mix])]
        idx = rng.randint(0, len(clips), n)
        fr = np.sort(np.argsort(rng.gumbel(size=(n, 16)), 1)[:, :k], 1)
        x = torch.from_numpy(clips[idx]).float()
        cond = adapter.condition(x, fr, states[idx[:, None], fr])
        x, frames = x[torch.arange(n)[:, None], fr].permute(0, 2, 1, 3, 4), torch.from_numpy(fr)
        u = (torch.randperm(n) + torch.rand(n)) / n
        j = torch.where(torch.rand(n) < 0.4, (u * 50).long(), INFERENCE[(u * 8).long().clamp(max=7)]).clamp(max=49)
        t = j * 20 + 19
        # long steps first, and half of them all the way to the clip: knowledge of small t travels to large t in few hops
        jump = torch.tensor(rng.choice([10, 20, 50, 50] if done < 0.4 else [4, 6, 10, 50], n))
        s = (t - 20 * jump).clamp(min=0)
        eps = torch.randn_like(x)
        xt, xs = noise.add(x, t, eps), noise.add(x, s, eps)
        with torch.no_grad():
            c = text(tokens(tok, [str(adapter.caption(combos[i], rng, i)) for i in idx])).last_hidden_state
            goal = x.clone()
            m = torch.nonzero(s > 0)[:, 0]
            if len(m):
                part = cond[m] if len(cond) == n else cond.unflatten(0, (n, k))[m].flatten(0, 1)
                goal[m] = noise.denoise(predict(target, xs[m], s[m], c[m], frames[m], part), xs[m], s[m])
        out = noise.denoise(predict(online, xt, t, c, frames, cond), xt, t)
        err = (torch.sqrt((out - goal) ** 2 + 1e-6) - 1e-3).mean(1)  # pseudo-Huber
        weight = object_weight(states[idx[:, None], fr].reshape(-1, 3), t.repeat_interleave(k), 3.0)
        loss = (err * weight.view_as(err)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        with torch.no_grad():
            for net, decay in ((target, 0.95), (average, 0.99)):
                d = min(decay, (1 + step) / (10 + step))
                torch._foreach_lerp_(list(net.parameters()), params, 1 - d)
        report(a.stage, step, done, 40, loss=loss, to_data=(out - x).abs().mean())
        if time.time() - last > 120:
            checkpoint(path, step + 1, online, target, average, opt)
            last = time.time()
    checkpoint(path, step + 1, online, target, average, opt)
    log("done", step + 1, path)


def checkpoint(path, step, online, target, average, opt):
    save(dict(step=step, online=online.state_dict(), target=target.state_dict(), average=average.state_dict(),
              opt=opt.state_dict()), path)


# ------------------------------------------------------------------ export
def original_motion_name(name):
    """AnimateDiff's name of a MotionAdapter's tensor"""
    head, tail = name.split(".motion_modules.")
    i, tail = tail.split(".", 1)
    for a, b in (("attn1.", "attention_blocks.0."), ("attn2.", "attention_blocks.1."), ("norm1.", "norms.0."),
                 ("norm2.", "norms.1."), ("norm3.", "ff_norm.")):
        tail = tail.replace(a, b)
    return f"{head}.motion_modules.{i}.temporal_transformer.{tail}"


def export(a):
    from safetensors.torch import save_file
    path = f"{a.work}/adapter-i2v.pt"
    if os.path.exists(path):
        net = I2VNet(frozen_lcm())
        net.load_state_dict(torch.load(path)["average"])
        out = {original_motion_name(n): p for n, p in zip(net.motion_names, net.motion)}
        out |= {"img_encoder." + k: v for k, v in net.encoder.state_dict().items()}
        out = {k: v.detach().half().contiguous() for k, v in out.items()}
        os.makedirs(f"{a.out}/motion-i2v", exist_ok=True)
        save_file(out, f"{a.out}/motion-i2v/diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
        with open(f"{MODELS}/motion-lcm/config.json") as f, open(f"{a.out}/motion-i2v/config.json", "w") as g:
            json.dump(json.load(f), g, indent=2)
            g.write("\n")
    path = f"{a.work}/adapter-control.pt"
    if os.path.exists(path):
        net = make_controlnet()
        net.load_state_dict(torch.load(path)["average"])
        net.half().save_pretrained(f"{a.out}/control-blob")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("stage", choices=["i2v", "control", "export"])
    ap.add_argument("--work", default="work")
    ap.add_argument("--out", default="..")
    ap.add_argument("--minutes", type=float, default=30)
    ap.add_argument("--start", type=float, default=0.0, help="where in its schedule a stage starts (with --resume)")
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--resume", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    export(a) if a.stage == "export" else train(a)


if __name__ == "__main__":
    main()
