"""PIL's resizing → fixtures/resample.json: small pictures by every filter, RGB and RGBA, up and down, as base64."""

import base64
import json

import numpy as np
from PIL import Image

from common import FIXTURES

FILTERS = {"box": Image.BOX, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS, "nearest": Image.NEAREST}
# (mode, size, new size)
SIZES = [("RGB", (13, 9), (31, 20)), ("RGB", (40, 30), (16, 12)), ("RGB", (17, 64), (32, 5)), ("RGB", (1, 1), (8, 8)), ("RGBA", (14, 11), (9, 20)), ("RGB", (24, 16), (24, 7)), ("RGB", (30, 33), (24, 20)), ("RGB", (30, 33), (23, 20))]
# (size, size to cover)
COVER = [((50, 36), (32, 24)), ((31, 57), (32, 24)), ((90, 25), (24, 24)), ((7, 5), (32, 24))]


def picture(seed: int, mode: str, size: tuple[int, int]) -> Image.Image:
    """Hard edges and noise: both ends of the range, so that overshoot is clipped."""
    rng = np.random.default_rng(seed)
    w, h = size
    x = rng.integers(0, 256, (h, w, len(mode)), dtype=np.uint8)
    x[(np.add.outer(np.arange(h), np.arange(w)) // 5) % 2 == 0, :3] //= 16
    x[rng.random((h, w)) < 0.2, :3] = 255
    return Image.fromarray(x, mode)


def data(image: Image.Image) -> str:
    return base64.b64encode(image.convert("RGBA").tobytes()).decode()


def cover_crop(image: Image.Image, width: int, height: int) -> Image.Image:
    """Scales by Lanczos until the picture covers the size, and cuts around the middle, with corners that may be halves."""
    w, h = image.size
    size = (width, round(width / w * h)) if width / height > w / h else (round(height / h * w), height)
    image = image.resize(size, Image.LANCZOS)
    x, y = (image.width - width) / 2, (image.height - height) / 2
    return image.crop((x, y, x + width, y + height))


def main() -> None:
    cases = []
    for i, (mode, size, new) in enumerate(SIZES):
        image = picture(i, mode, size)
        results = {name: data(image.resize(new, f)) for name, f in FILTERS.items()}
        cases.append({"size": size, "new": new, "picture": data(image), "results": results})
    covers = []
    for i, (size, new) in enumerate(COVER):
        image = picture(100 + i, "RGB", size)
        covers.append({"size": size, "new": new, "picture": data(image), "result": data(cover_crop(image, *new))})
    path = FIXTURES / "resample.json"
    path.write_text(json.dumps({"resize": cases, "cover": covers}))
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
