"""The automatic checker: what does a clip show? It knows how the training data is drawn, and nothing of the model.

    python checker.py [clips]     self-test on rendered clips and on wrong ones
"""
import sys

import numpy as np
from scipy import ndimage

import data as D

KEYS = ("colour", "shape", "motion", "background")
BGS = {b: D.background(b) for b in D.BACKGROUNDS}
THRESHOLD = 34  # how far a pixel is from the background where there is an object
SHADOW = np.array((12, 10, 36), np.float32)


def nearest_background(v):
    """the background nearest over the whole clip (medians over frames and pixels: the object does not matter)"""
    m = np.median(v, 0)
    return min(D.BACKGROUNDS, key=lambda b: float(np.median(np.abs(m - BGS[b]).sum(-1))))


def object_masks(v, bg):
    """pixels that are neither background nor background under the drop shadow"""
    b = BGS[bg]
    d = SHADOW - b
    t = np.clip(((v - b) * d).sum(-1) / (d * d).sum(-1), 0, 0.42)
    return np.linalg.norm(v - b - t[..., None] * d, axis=-1) > THRESHOLD


def largest(m):
    """the largest connected part, holes filled"""
    lab, n = ndimage.label(m)
    if n == 0:
        return m
    size = np.bincount(lab.ravel())
    size[0] = 0
    return ndimage.binary_fill_holes(lab == size.argmax())


_templates, _colours = {}, {}


def template(shape):
    """area factor and centroid offset of a shape of radius 1 (measured at radius 30)"""
    if shape not in _templates:
        m = D.sdf(shape, D.XX - 64, D.YY - 64, 30) < 0
        _templates[shape] = (m.sum() / 900, (D.XX[m].mean() - 64) / 30, (D.YY[m].mean() - 64) / 30)
    return _templates[shape]


def overlap(m, shape):
    """best intersection over union of the mask with the shape of the same area and centroid"""
    k, ox, oy = template(shape)
    r0, cx, cy, best = np.sqrt(m.sum() / k), D.XX[m].mean(), D.YY[m].mean(), 0
    for s in (0.94, 1.0, 1.06):
        for dy in (-1.5, 0, 1.5):
            q = D.sdf(shape, D.XX - (cx - ox * r0 * s), D.YY - (cy - oy * r0 * s + dy), r0 * s) < 0
            best = max(best, (q & m).sum() / max(1, (q | m).sum()))
    return best


def colour_refs():
    """the typical colour of the inside of an object, shading included"""
    if not _colours:
        for c in D.CNAMES:
            px = []
            for s in D.SHAPES:
                im = BGS["night sky"].copy()
                D.draw(im, c, s, 64, 62, 20)
                px.append(im[D.sdf(s, D.XX - 64, D.YY - 62, 20) < -4])
            _colours[c] = np.median(np.concatenate(px), 0)
    return _colours


def colour_distance(a, b):
    return np.linalg.norm(a - b)


def vote(seen):
    return max(set(seen), key=seen.count) if seen else None


def check(v):
    """what a clip (16, 128, 128, 3) uint8 shows; motion is "none" unless the object is seen in most frames and clearly
    travels (16 pixels) or changes its size (by 1.3) over the clip, steadily: correlation with the time at least 0.8"""
    v = v.astype(np.float32)
    bg = nearest_background(v)
    place, colours, shapes, ious = [], [], [], []
    for i, m in enumerate(object_masks(v, bg)):
        m = largest(m)
        if not 60 <= m.sum() <= 8192:  # nothing, or half of the picture: not an object
            continue
        place.append((i, D.XX[m].mean(), D.YY[m].mean(), np.sqrt(m.sum())))
        core = ndimage.binary_erosion(m, iterations=4)
        med = np.median(v[i][core if core.sum() >= 20 else m], 0)
        colours.append(min(D.CNAMES, key=lambda c: colour_distance(med, colour_refs()[c])))
        if i % 3 == 0:
            fit = {s: overlap(m, s) for s in D.SHAPES}
            best = max(fit, key=fit.get)
            shapes.append(best if fit[best] > 0.6 else "none")
            ious.append(max(fit.values()))
    out = dict(background=bg, colour=vote(colours), shape=vote(shapes), motion="none",
               iou=float(np.mean(ious)) if ious else 0.0, visible=len(place) / len(v), dx=0.0, dy=0.0, ratio=1.0,
               background_error=float(np.abs(np.median(v, 0) - BGS[bg]).mean()), jitter=0.0)
    if len(place) < 12:
        return out
    p = np.array(place)
    line = [np.polyfit(p[:, 0], p[:, k], 1) for k in (1, 2, 3)]
    dx, dy = line[0][0] * 15, line[1][0] * 15
    ratio = np.polyval(line[2], 15) / max(np.polyval(line[2], 0), 1)
    # steadiness: distance from the straight line, in pixels
    out["jitter"] = float(np.mean([np.abs(p[:, k] - np.polyval(q, p[:, 0])).mean() for k, q in zip((1, 2), line)]))
    out.update(dx=float(dx), dy=float(dy), ratio=float(ratio))
    steady = [abs(np.corrcoef(p[:, 0], p[:, k] + 1e-6 * p[:, 0])[0, 1]) > 0.8 for k in (1, 2, 3)]
    if max(abs(dx), abs(dy)) > 16:
        if not steady[0 if abs(dx) > abs(dy) else 1]:
            return out
        side = ("moving right", "moving left") if abs(dx) > abs(dy) else ("moving down", "moving up")
        out["motion"] = side[0] if (dx if abs(dx) > abs(dy) else dy) > 0 else side[1]
    elif steady[2] and (ratio > 1.3 or ratio < 1 / 1.3):
        out["motion"] = "growing" if ratio > 1 else "shrinking"
    return out


def score(results, combos):
    right = {k: [r[k] == c[j] for r, c in zip(results, combos)] for j, k in enumerate(KEYS)}
    out = {k: float(np.mean(v)) for k, v in right.items()}
    out["all four"] = float(np.mean(np.all(list(right.values()), 0)))
    for k in ("iou", "jitter", "background_error"):
        out[k] = float(np.mean([r[k] for r in results]))
    return {k: round(v, 3) for k, v in out.items()}


# ------------------------------------------------------------------ self-test
def selftest(n=200):
    combos = D.combos(n, 77)
    clips = [D.render_video(*c, np.random.RandomState(900_000 + i))[0] for i, c in enumerate(combos)]
    right = score([check(v) for v in clips], combos)
    print("rendered clips, right:", right)
    assert min(right[k] for k in KEYS) >= 0.99

    some, rng = range(min(n, 60)), np.random.RandomState(5)
    wrong = {}

    def fails(name, key, clip, want):
        wrong.setdefault(name, []).append(check(clip)[key] != want)
    for i in some:
        v, c = clips[i], combos[i]
        fails("played backwards", "motion", v[::-1], c[2])
        fails("stands still", "motion", np.repeat(v[7:8], 16, 0), c[2])
        fails("frames shuffled", "motion", v[rng.permutation(16)], c[2])
        empty = np.repeat(D.background(c[3])[None], 16, 0).astype(np.uint8)
        fails("no object", "colour", empty, c[0])
        fails("no object", "shape", empty, c[1])
        fails("no object", "motion", empty, c[2])
        for j, key in enumerate(KEYS):  # the clip of the same seed with one attribute changed
            values = (D.CNAMES, D.SHAPES, D.MOTIONS, D.BACKGROUNDS)[j]
            other = list(c)
            other[j] = values[(values.index(c[j]) + 1 + rng.randint(len(values) - 1)) % len(values)]
            fails("other " + key, key, D.render_video(*other, np.random.RandomState(900_000 + i))[0], c[j])
        noise = rng.randint(0, 256, v.shape).astype(np.uint8)
        if i < 5:
            fails("noise", "shape", noise, c[1])
    for name, v in wrong.items():
        print(f"{name}: {np.mean(v):.3f} of {len(v)} failed, as they should")
        assert np.mean(v) >= 0.99, name


if __name__ == "__main__":
    selftest(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
