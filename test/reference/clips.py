"""Small test clips: coloured shapes that move over a gradient, as 8-bit frames."""

import numpy as np
import torch
from PIL import Image


def clip(frames: int, width: int, height: int, seed: int = 0) -> torch.Tensor:
    """u8 `[frames, height, width, 3]`"""
    y, x = np.mgrid[0:height, 0:width]
    out = np.zeros((frames, height, width, 3))
    for f in range(frames):
        out[f] = np.stack([40 + 120 * x / width, 60 + 100 * y / height, 90 + 60 * (x + y) / (width + height) + 8 * np.sin(f)], -1)
        cx, cy = width * (0.2 + 0.6 * f / max(1, frames - 1)), height * (0.5 + 0.2 * np.sin(seed + f))
        out[f][(x - cx) ** 2 + (y - cy) ** 2 < (min(width, height) / 5) ** 2] = (220, 60 + 15 * seed, 50)
    return torch.from_numpy(out.round().astype(np.uint8))


def images(frames: torch.Tensor) -> list[Image.Image]:
    return [Image.fromarray(f.numpy()) for f in frames]
