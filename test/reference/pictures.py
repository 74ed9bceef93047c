"""Odd pictures and what PIL makes of them → fixtures/pictures.json.

JPEGs and PNGs in each EXIF orientation, as PIL's exif_transpose turns them; palettes with transparency, laid on black. Files and results
(RGB) in base64.
"""

import base64
import io
import json

import numpy as np
from PIL import Image, ImageOps

from common import FIXTURES

text = lambda data: base64.b64encode(data).decode()


def turned(orientation: int, kind: str = "JPEG") -> dict:
    y, x = np.mgrid[0:16, 0:24]
    # Blocks of 8 × 8 of one colour: no decoder rounds them otherwise.
    rgb = np.stack([40 + 90 * (x // 8), 30 + 150 * (y // 8), 200 - 60 * ((x // 8 + y // 8) % 3)], -1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    more = dict(quality=95, subsampling=0) if kind == "JPEG" else {}
    Image.fromarray(rgb).save(file, kind, exif=exif, **more)
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    return {"name": f"turned-{orientation}.{'jpg' if kind == 'JPEG' else 'png'}", "file": text(file.getvalue()), "size": image.size, "rgb": text(image.tobytes())}


def palette() -> dict:
    image = Image.new("P", (3, 2))
    image.putpalette([250, 10, 20, 30, 240, 50, 60, 70, 230])
    image.putdata([0, 1, 2, 2, 1, 0])
    file = io.BytesIO()
    image.save(file, "PNG", transparency=bytes([255, 128, 0]))
    read = Image.open(file).convert("RGBA")
    black = Image.new("RGBA", read.size, (0, 0, 0, 255))
    return {"name": "palette.png", "file": text(file.getvalue()), "size": read.size, "rgb": text(Image.alpha_composite(black, read).convert("RGB").tobytes())}


if __name__ == "__main__":
    (FIXTURES / "pictures.json").write_text(json.dumps([*map(turned, range(1, 9)), *(turned(i, "PNG") for i in range(1, 9)), palette()], separators=(",", ":")))
