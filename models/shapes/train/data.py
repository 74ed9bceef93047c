"""Procedural data of the shapes model: captions and antialiased cartoon clips of 16 frames at 128x128.

Everything is drawn with numpy signed-distance fields. A clip is fully described by (colour, shape, motion, background)
and a few random numbers (position, size, travel), so the same seed always gives the same pixels.
"""
import numpy as np

SIZE, FRAMES = 128, 16
COLOURS = {
    "red": (226, 36, 44), "green": (20, 150, 70), "blue": (42, 72, 226), "yellow": (250, 212, 36),
    "orange": (250, 128, 16), "purple": (136, 52, 200), "pink": (250, 116, 186), "white": (246, 246, 250),
}
SHAPES = ["circle", "square", "triangle", "star", "heart"]
MOTIONS = ["moving left", "moving right", "moving up", "moving down", "growing", "shrinking"]
BACKGROUNDS = ["night sky", "sunset", "green meadow", "blue sea"]
CNAMES = list(COLOURS)

_c = (np.arange(SIZE, dtype=np.float32) + 0.5)
XX, YY = np.meshgrid(_c, _c)  # pixel centres


def smooth(e0, e1, x):
    t = np.clip((x - e0) / (e1 - e0), 0, 1)
    return t * t * (3 - 2 * t)


def _stops(v, stops):
    """piecewise-smooth colour gradient; v in [0,1], stops [(pos, rgb), ...]"""
    xs = [s[0] for s in stops]
    cols = np.array([s[1] for s in stops], np.float32)
    return np.stack([np.interp(v, xs, cols[:, k]) for k in range(3)], -1).astype(np.float32)


def _mix(a, b, t):
    return a + (np.asarray(b, np.float32) - a) * t[..., None]


def _background(name):
    x, y = XX / SIZE, YY / SIZE
    rng = np.random.RandomState(7)
    if name == "night sky":
        im = _stops(y, [(0, (9, 11, 44)), (0.55, (27, 31, 92)), (0.9, (74, 58, 132)), (1, (84, 64, 138))])
        pts = [(14, 18), (38, 9), (61, 24), (88, 12), (113, 22), (23, 45), (104, 47), (121, 66), (8, 74), (46, 62),
               (77, 50), (66, 86), (95, 80), (29, 92), (52, 36), (116, 96), (84, 101), (12, 104)]
        for i, (px, py) in enumerate(pts):
            s, a = (1.25, 1.0) if i % 3 == 0 else (0.95, 0.8)
            d2 = (XX - px) ** 2 + (YY - py) ** 2
            g = a * np.exp(-d2 / (2 * s * s)) + 0.22 * a * np.exp(-d2 / (2 * 3.2 ** 2))
            im = _mix(im, (255, 250, 225), np.clip(g, 0, 1))
        h = 112 + 5 * np.sin(x * 7.0 + 0.6) + 3 * np.sin(x * 15 + 2)
        im = _mix(im, (16, 16, 46), smooth(-0.8, 0.8, YY - h))
    elif name == "sunset":
        im = _stops(y, [(0, (112, 84, 158)), (0.3, (206, 120, 158)), (0.55, (250, 168, 138)), (0.8, (255, 222, 158)), (1, (255, 226, 160))])
        glow = np.exp(-(((x - 0.5) / 0.34) ** 2 + ((y - 0.86) / 0.2) ** 2))
        im = _mix(im, (255, 246, 196), 0.85 * glow)
        for cx, cy, w, hh in [(28, 30, 26, 4.5), (96, 22, 22, 4), (84, 50, 30, 4), (20, 62, 20, 3.5)]:
            g = np.exp(-(((XX - cx) / w) ** 2 + ((YY - cy) / hh) ** 2))
            im = _mix(im, (255, 206, 190), 0.6 * g)
        h = 106 + 5 * np.sin(x * 6.0 + 2.2)
        im = _mix(im, (150, 84, 118), smooth(-0.8, 0.8, YY - h))
        h = 115 + 4 * np.sin(x * 8.0 + 0.4)
        im = _mix(im, (96, 56, 96), smooth(-0.8, 0.8, YY - h))
    elif name == "green meadow":
        im = _stops(y, [(0, (120, 198, 246)), (0.6, (222, 244, 254)), (1, (222, 244, 254))])
        for cx, cy, r in [(26, 24, 9), (38, 21, 11), (50, 25, 8), (94, 38, 8), (105, 35, 10), (116, 39, 7)]:
            d = np.sqrt((XX - cx) ** 2 + ((YY - cy) * 1.35) ** 2) - r
            im = _mix(im, (252, 254, 255), 0.9 * smooth(2.2, -2.2, d))
        h = 74 + 7 * np.sin(x * 5.2 + 0.5)
        hill = _stops(np.clip((YY - h) / 50, 0, 1), [(0, (178, 222, 124)), (1, (138, 196, 92))])
        im = im + (hill - im) * smooth(-0.8, 0.8, YY - h)[..., None]
        h = 94 + 6 * np.sin(x * 6.4 + 3.4)
        hill = _stops(np.clip((YY - h) / 40, 0, 1), [(0, (150, 208, 92)), (1, (104, 172, 66))])
        im = im + (hill - im) * smooth(-0.8, 0.8, YY - h)[..., None]
        for i, (px, py) in enumerate([(12, 104), (30, 114), (50, 106), (70, 118), (92, 112), (110, 102), (120, 119), (20, 122)]):
            g = smooth(2.6, 1.0, np.sqrt((XX - px) ** 2 + (YY - py) ** 2))
            im = _mix(im, (255, 252, 240) if i % 2 else (255, 214, 96), g)
    else:  # blue sea
        sky = _stops(np.clip(y / 0.3, 0, 1), [(0, (150, 214, 248)), (1, (232, 248, 254))])
        sea = _stops(np.clip((y - 0.3) / 0.7, 0, 1), [(0, (118, 208, 226)), (0.35, (62, 166, 212)), (1, (24, 104, 176))])
        h = 0.3 * SIZE + 0.8 * np.sin(x * 20)
        im = sky + (sea - sky) * smooth(-0.8, 0.8, YY - h)[..., None]
        for k, (yc, amp, n, ph, a) in enumerate([(50, 1.6, 5, 0.3, .40), (64, 2.0, 4, 1.9, .38), (80, 2.6, 3.5, 0.9, .36), (98, 3.0, 3, 2.6, .34), (116, 3.4, 2.5, 0.2, .32)]):
            d = np.abs(YY - (yc + amp * np.sin(2 * np.pi * n * x / 1.0 + ph)))
            im = _mix(im, (214, 244, 250), a * smooth(2.4, 0.4, d))
    return np.clip(im, 0, 255).astype(np.float32)


_BG = {}


def background(name):
    if name not in _BG:
        _BG[name] = _background(name)
    return _BG[name]


def sdf(shape, x, y, r):
    """signed distance in pixels; x, y relative to the centre (y down), r the nominal radius"""
    if shape == "circle":
        return np.sqrt(x * x + y * y) - r
    if shape == "square":
        h, rd = 0.88 * r, 0.16 * r
        qx, qy = np.abs(x) - (h - rd), np.abs(y) - (h - rd)
        return np.sqrt(np.maximum(qx, 0) ** 2 + np.maximum(qy, 0) ** 2) + np.minimum(np.maximum(qx, qy), 0) - rd
    if shape == "triangle":
        rd = 0.13 * r
        k = np.float32(np.sqrt(3.0))
        s = 1.14 * r - rd  # half side
        px, py = np.abs(x), -(y - 0.20 * r)
        px = px - s
        py = py + s / k
        c = px + k * py > 0
        nx = np.where(c, (px - k * py) / 2, px)
        ny = np.where(c, (-k * px - py) / 2, py)
        nx = nx - np.clip(nx, -2 * s, 0)
        return -np.sqrt(nx * nx + ny * ny) * np.sign(ny) - rd
    if shape == "star":
        rd = 0.07 * r
        R, rf = 1.26 * r - rd, 0.50
        k1 = np.array([0.809016994375, -0.587785252292], np.float32)
        k2 = np.array([-k1[0], k1[1]], np.float32)
        px, py = np.abs(x), -(y - 0.06 * r)
        d = np.maximum(k1[0] * px + k1[1] * py, 0); px = px - 2 * d * k1[0]; py = py - 2 * d * k1[1]
        d = np.maximum(k2[0] * px + k2[1] * py, 0); px = px - 2 * d * k2[0]; py = py - 2 * d * k2[1]
        px = np.abs(px); py = py - R
        bx, by = rf * -k1[1] - 0.0, rf * k1[0] - 1.0
        hh = np.clip((px * bx + py * by) / (bx * bx + by * by), 0, R)
        return np.sqrt((px - bx * hh) ** 2 + (py - by * hh) ** 2) * np.sign(py * bx - px * by) - rd
    # heart (Inigo Quilez), unit heart spans y 0..~1.1
    s = 1.82 * r
    px, py = np.abs(x) / s, -(y - 0.92 * r) / s
    a = np.sqrt((px - .25) ** 2 + (py - .75) ** 2) - np.float32(np.sqrt(2) / 4)
    m = 0.5 * np.maximum(px + py, 0)
    b = np.sqrt(np.minimum(px ** 2 + (py - 1) ** 2, (px - m) ** 2 + (py - m) ** 2)) * np.sign(px - py)
    return np.where(py + px > 1, a, b) * s


HI = {"circle": (-.36, -.40), "square": (-.42, -.44), "triangle": (-.10, -.22), "star": (-.14, -.30), "heart": (-.44, -.36)}


def draw(im, colour, shape, cx, cy, r):
    """composite one object onto im (float HxWx3, changed in place inside its bounding box)"""
    m = 1.5 * r + 10
    x0, x1 = max(0, int(cx - m)), min(SIZE, int(cx + m) + 1)
    y0, y1 = max(0, int(cy - m)), min(SIZE, int(cy + m) + 1)
    x, y = XX[y0:y1, x0:x1] - np.float32(cx), YY[y0:y1, x0:x1] - np.float32(cy)
    p = im[y0:y1, x0:x1]
    d = sdf(shape, x, y, r)
    ds = sdf(shape, x - 0.14 * r, y - 0.24 * r, r)
    p = _mix(p, (12, 10, 36), 0.36 * smooth(5.0, -4.0, ds))  # soft drop shadow
    base = np.array(COLOURS[colour], np.float32)
    u = np.clip((x + 1.3 * y) / (2.2 * r), -1, 1)  # light from the upper left
    light = np.minimum(base * 1.08 + 34, 255)
    dark = base * (0.78 if colour != "white" else 0.84)
    fill = base + np.where(u[..., None] < 0, (light - base) * (-u[..., None]), (dark - base) * u[..., None])
    rim = smooth(-0.34 * r, 0, d)
    fill = fill * (1 - 0.16 * rim[..., None])
    edge = base * 0.42 + np.array((6, 4, 16), np.float32) if colour != "white" else np.array((112, 116, 148), np.float32)
    fill = _mix(fill, edge, smooth(-2.6, -1.2, d))  # cartoon outline
    hx, hy = HI[shape]
    g = np.exp(-(((x - hx * r) * 0.86 + (y - hy * r) * 0.5) / (0.17 * r)) ** 2 - ((-(x - hx * r) * 0.5 + (y - hy * r) * 0.86) / (0.30 * r)) ** 2)
    fill = _mix(fill, (255, 255, 255), 0.85 * g * smooth(-1.5, -4.0, d))
    a = np.clip(0.5 - d, 0, 1)[..., None]
    im[y0:y1, x0:x1] = p + (fill - p) * a


def trajectory(motion, rng):
    """(FRAMES, 3): cx, cy, r"""
    t = np.linspace(0, 1, FRAMES)
    r = np.full(FRAMES, rng.uniform(18, 22))
    if motion in ("growing", "shrinking"):
        a, b = rng.uniform(11, 13), rng.uniform(27, 30)
        r = a + (b - a) * t
        if motion == "shrinking":
            r = r[::-1]
        cx = np.full(FRAMES, 64 + rng.uniform(-12, 12))
        cy = np.full(FRAMES, 62 + rng.uniform(-10, 10))
    else:
        D = rng.uniform(56, 66)
        along = 64 - D / 2 + D * t + rng.uniform(-4, 4)
        if motion in ("moving left", "moving up"):
            along = along[::-1]
        if motion in ("moving left", "moving right"):
            cx, cy = along, np.full(FRAMES, 62 + rng.uniform(-14, 14))
        else:
            cx, cy = np.full(FRAMES, 64 + rng.uniform(-16, 16)), along - 1
    return np.stack([cx, cy, r], 1)


def render_video(colour, shape, motion, bg, rng):
    tr = trajectory(motion, rng)
    out = np.empty((FRAMES, SIZE, SIZE, 3), np.uint8)
    b = background(bg)
    for i, (cx, cy, r) in enumerate(tr):
        im = b.copy()
        draw(im, colour, shape, cx, cy, r)
        out[i] = np.clip(im + 0.5, 0, 255).astype(np.uint8)
    return out, tr


# ---------------------------------------------------------------- captions
BG_PHRASES = {
    "night sky": ["on a night sky", "in the night sky", "night sky", "at night", "over a night sky"],
    "sunset": ["at sunset", "in the sunset", "sunset", "on a sunset", "over a sunset"],
    "green meadow": ["on a green meadow", "over the green meadow", "green meadow", "on a meadow", "in a green meadow"],
    "blue sea": ["on the blue sea", "over the blue sea", "blue sea", "on a blue sea", "over the sea"],
}
MOTION_PHRASES = {
    "moving left": ["moving left", "moving left", "moving to the left", "moves left"],
    "moving right": ["moving right", "moving right", "moving to the right", "moves right"],
    "moving up": ["moving up", "moving up", "moving upwards", "moves up"],
    "moving down": ["moving down", "moving down", "moving downwards", "moves down"],
    "growing": ["growing", "growing", "getting bigger", "grows"],
    "shrinking": ["shrinking", "shrinking", "getting smaller", "shrinks"],
}


def caption(colour, shape, motion, bg, rng, p_bg=0.88, p_motion=1.0):
    """one of many wordings; parts are left out now and then so that short prompts work"""
    art = rng.choice(["a ", "a ", "the ", ""])
    if art == "a " and colour == "orange":
        art = "an "
    obj = f"{art}{colour} {shape}"
    m = rng.choice(MOTION_PHRASES[motion]) if rng.random() < p_motion else ""
    b = rng.choice(BG_PHRASES[bg]) if rng.random() < p_bg else ""
    sep = ", " if rng.random() < 0.3 else " "
    parts = [obj] + [q for q in (m, b) if q]
    if sep == " " and b in ("night sky", "green meadow", "blue sea", "sunset"):
        return (" ".join(parts[:-1]) + ", " + parts[-1]) if rng.random() < 0.7 else " ".join(parts)
    return sep.join(parts)


def canonical(colour, shape, motion, bg):
    return f"{'an' if colour == 'orange' else 'a'} {colour} {shape} {motion} {BG_PHRASES[bg][0]}"


def unseen_wording(colour, shape, motion, bg, i):
    """one of four wordings that `caption` never makes: known words in another order"""
    m, b = MOTION_PHRASES[motion], BG_PHRASES[bg]
    a = f"{'an' if colour == 'orange' else 'a'} {colour} {shape}"
    return (f"{b[0]}, {a} {m[0]}", f"{m[2]} {b[1]}: {a}", f"{b[2]} and {a} that {m[3]}", f"{a} {b[4]}, {m[2]}")[i % 4]


def all_words():
    """the whole vocabulary of the captions"""
    words = set("a an the".split() + CNAMES + SHAPES + [","])
    for phrases in (BG_PHRASES, MOTION_PHRASES):
        for v in phrases.values():
            for p in v:
                words.update(p.split())
    return sorted(words)


# ---------------------------------------------------------------- combinations and seeds
ALL = [(c, s, m, b) for c in CNAMES for s in SHAPES for m in MOTIONS for b in BACKGROUNDS]
# a tenth of the 960 combinations is never shown to the motion and distillation stages
HELD = [ALL[i] for i in np.random.RandomState(2024).permutation(len(ALL))[:96]]
TRAIN = [c for c in ALL if c not in set(HELD)]


def train_combos(p):
    """the training combinations in the order of pass p"""
    return [TRAIN[i] for i in np.random.RandomState(100 + p).permutation(len(TRAIN))]


def combos(n, seed):
    """n combinations, balanced over all 960"""
    rng = np.random.RandomState(seed)
    out = []
    while len(out) < n:
        out += [ALL[i] for i in rng.permutation(len(ALL))]
    return out[:n]


def train_clip(p, i):
    """clip i of pass p with its own seed: (16, 128, 128, 3) uint8 and its trajectory"""
    return render_video(*train_combos(p)[i], np.random.RandomState(20_000_000 + p * 10_000 + i))


def frame(combo, state):
    """one frame of a clip from its combination and one row (cx, cy, r) of its trajectory"""
    im = background(combo[3]).copy()
    draw(im, combo[0], combo[1], *(float(v) for v in state))
    return np.clip(im + 0.5, 0, 255).astype(np.uint8)
