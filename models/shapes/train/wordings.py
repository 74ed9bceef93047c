"""The text encoder learns that the order of words does not matter.

    python wordings.py            the exported text encoder, in place (../base/text_encoder), after export.py

The captions of the training begin with the object, so its encoder looks for the colour in the first words and loses it
in "at sunset, a red star moving right". Here it learns, from itself alone, to say of any order what it says of its own:
the same state at the same word, and behind the last. The four forms of `data.unseen_wording` are left for the test.
"""
import argparse
import copy

import numpy as np
import torch
from diffusers import UNet2DConditionModel

import data as D
from adapters import MODELS, base_parts
from nets import cosine, log
from train import report, set_lr

FORMS = ("{b}, {o} {m}", "{b}: {o} {m}", "{b} {o} {m}", "{b} with {o} {m}", "{b}, there is {o} {m}", "{b}, {o} is {m}",
         "{o} {b} {m}", "{o}, {b}, {m}", "{o} {b} is {m}", "{m}, {o} {b}", "{m}: {o}, {b}", "{m} {o} {b}",
         "{o} is {m} {b}", "there is {o} {m} {b}", "{o} , {m} , {b}", "{b}, {o}", "{b} {m}", "{m}, {b}", "{m} {o}")
OBJECTS = ("{a} {c} {s}", "{a} {c} {s}", "{a} {c} {s}", "{c} {s}", "{a} {s} in {c}", "{a} {s} that is {c}")
TESTS = {D.unseen_wording(*c, i) for c in D.ALL for i in range(4)}


def segments(form, parts):
    """a form as a list of (text, key of the part it is, or None)"""
    out, rest = [], form
    while rest:
        text, _, rest = rest.partition("{")
        key, _, rest = rest.partition("}")
        out += [(text.strip(), None)] if text.strip() else []
        out += [(parts[key], key)] if key else []
    return out


def pair(combo, rng):
    """two wordings of the same: as the training has it, and another"""
    parts = dict(a=rng.choice(["a", "a", "the"]), c=combo[0], s=combo[1], m=rng.choice(D.MOTION_PHRASES[combo[2]]),
                 b=rng.choice(D.BG_PHRASES[combo[3]]))
    if parts["a"] == "a" and combo[0] == "orange":
        parts["a"] = "an"
    form = FORMS[rng.randint(len(FORMS))]
    known = OBJECTS[0] * ("{o}" in form) + " {m}" * ("{m}" in form) + " {b}" * ("{b}" in form)
    return segments(known, parts), segments(form.replace("{o}", OBJECTS[rng.randint(len(OBJECTS))]), parts)


_tokens = {}


def ids(tok, segs):
    """77 token ids, and where each part's tokens lie"""
    out, where = [tok.bos_token_id], {}
    for text, key in segs:
        if text not in _tokens:
            _tokens[text] = tok(text).input_ids[1:-1]
        t = _tokens[text]
        where[key] = range(len(out), len(out) + len(t))
        out += t
    where["end"] = range(len(out), len(out) + 1)
    return out + [tok.eos_token_id] * (77 - len(out)), where


def batch(tok, rng, n):
    """ids of known and of new wordings [n, 77]; for each new position the known one that it shall agree with, and how much
    that matters: colour and shape are said once, the end fifty times"""
    known, new, at, weight = [], [], np.zeros((n, 77), int), np.zeros((n, 77), np.float32)
    while len(new) < n:
        a, b = pair(D.TRAIN[rng.randint(len(D.TRAIN))], rng)
        text = " ".join(t for t, _ in b).replace(" ,", ",").replace(" :", ":")
        if text in TESTS:
            continue
        if rng.rand() < 0.35:  # what it knows stays as it is
            b = a
        (x, p), (y, q) = ids(tok, a), ids(tok, b)
        for key in q.keys() & p.keys() - {None}:
            at[len(new), list(q[key])] = list(p[key])
            weight[len(new), list(q[key])] = 8.0 if key in ("c", "s") else 1.0
        behind = max(q["end"][0], p["end"][0]) + 1
        at[len(new), behind:] = np.arange(behind, 77)
        weight[len(new), behind:] = 1.0
        known.append(x)
        new.append(y)
    return torch.tensor(known), torch.tensor(new), torch.from_numpy(at), torch.from_numpy(weight)


def read_by(unet):
    """[96, 96]: differences of text states times this are as large as the UNet's keys and values make them"""
    w = torch.cat([p.detach().float() for n, p in unet.named_parameters() if n.endswith(("attn2.to_k.weight", "attn2.to_v.weight"))
                   and ".motion_modules." not in n])
    values, vectors = torch.linalg.eigh(w.T @ w)
    q = vectors * values.clamp(min=0).sqrt()
    return q * (96 ** 0.5 / q.norm())


def teach(a):
    torch.manual_seed(71)
    rng = np.random.RandomState(71)
    tok, old, _ = base_parts()
    look = read_by(UNet2DConditionModel.from_pretrained(f"{MODELS}/base/unet", torch_dtype=torch.float32))
    new = copy.deepcopy(old).requires_grad_(True)
    opt = torch.optim.AdamW(new.parameters(), lr=1e-3, weight_decay=0.0)
    for step in range(a.steps):
        set_lr(opt, cosine(step / a.steps, 1e-3), step, 50)
        x, y, at, weight = batch(tok, rng, 24)
        with torch.no_grad():
            goal = old(x).last_hidden_state.gather(1, at[..., None].expand(-1, -1, 96))
        err = (((new(y).last_hidden_state - goal) @ look) ** 2).mean(-1)
        loss = (err * weight).sum() / weight.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(new.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        report("wordings", step, step / a.steps, 100, loss=loss, same=err[(x == y).all(1)].mean(), colour=err[weight > 1].mean())
    new.half().save_pretrained(f"{a.out}/base/text_encoder")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--steps", type=int, default=1000)
    ap.add_argument("--out", default=MODELS)
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    teach(a)


if __name__ == "__main__":
    main()
