"""What models/shapes/train/checker.py finds in some clips → fixtures/shapes-checker.json; clips as lossless WebP beside it.

Rendered clips, the same with their frames in other orders, and the demo's own clip in docs/demo.png.
"""

import json
import pathlib
import sys

import numpy as np
from PIL import Image

from common import FIXTURES

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "models/shapes/train"))
import checker  # noqa: E402
import data  # noqa: E402

CLIPS = {
    "red-star": ("red", "star", "moving left", "night sky"),
    "white-heart": ("white", "heart", "growing", "blue sea"),
    "purple-triangle": ("purple", "triangle", "moving up", "sunset"),
    "orange-square": ("orange", "square", "shrinking", "green meadow"),
}
ORDERS = {"": range(16), "reversed": range(15, -1, -1), "still": [7] * 16, "shuffled": [9, 2, 14, 5, 0, 11, 7, 3, 15, 1, 8, 12, 4, 10, 6, 13]}


def frames(path: pathlib.Path) -> np.ndarray:
    image = Image.open(path)
    out = []
    for i in range(image.n_frames):
        image.seek(i)
        out.append(np.asarray(image.convert("RGB")))
    return np.stack(out)


def found(clip: np.ndarray) -> dict:
    return {k: v if isinstance(v, str) or v is None else float(v) for k, v in checker.check(clip).items()}


if __name__ == "__main__":
    folder = FIXTURES / "shapes-checker"
    folder.mkdir(exist_ok=True)
    cases = []
    for i, (name, combo) in enumerate(CLIPS.items()):
        clip, _ = data.render_video(*combo, np.random.RandomState(100 + i))
        path = folder / f"{name}.webp"
        first, *rest = (Image.fromarray(f) for f in clip)
        first.save(path, save_all=True, append_images=rest, duration=125, loop=0, lossless=True, quality=100, method=6)
        assert (frames(path) == clip).all()
        for order, indexes in ORDERS.items() if i < 2 else [("", range(16))]:
            cases.append(dict(clip=f"test/reference/fixtures/shapes-checker/{name}.webp", order=list(indexes), found=found(clip[list(indexes)])))
    cases.append(dict(clip="docs/demo.png", order=list(range(16)), found=found(frames(ROOT / "docs/demo.png"))))
    pixels = {b: data.background(b)[::9, ::9].round(3).tolist() for b in data.BACKGROUNDS}
    distances = {s: [[float(data.sdf(s, np.float32(x), np.float32(y), 20.0)) for x in range(-32, 33, 8)] for y in range(-32, 33, 8)] for s in data.SHAPES}
    (FIXTURES / "shapes-checker.json").write_text(json.dumps(dict(cases=cases, pixels=pixels, distances=distances)))
    for c in cases:
        print(c["clip"].split("/")[-1], c["order"][:3], c["found"])
