"""Edges by OpenCV and SciPy → fixtures/preprocess.json. Needs opencv-python-headless besides requirements.txt."""

import base64
import json

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage

from clips import clip
from common import FIXTURES


def data(x: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(x).tobytes()).decode()


def main() -> None:
    rng = np.random.default_rng(3)
    cases = []
    for i, (w, h) in enumerate([(40, 32), (33, 21)]):
        rgb = clip(1, w, h, i)[0].numpy()
        if i == 1:
            rgb = np.clip(rgb.astype(int) + rng.integers(-30, 31, rgb.shape), 0, 255).astype(np.uint8)
        grey = np.array(Image.fromarray(rgb).convert("L"))
        gx, gy = (ndimage.sobel(grey.astype(float), axis=a, mode="nearest") / 4 for a in (0, 1))
        cases.append({
            "size": [w, h], "rgb": data(rgb), "grey": data(grey),
            "canny": {"100,200": data(cv2.Canny(rgb, 100, 200)), "20,60": data(cv2.Canny(rgb, 20, 60))},
            "softedge": data(np.minimum(255, np.floor(np.sqrt((gx**2 + gy**2) / 2) + 0.5)).astype(np.uint8)),
        })
    path = FIXTURES / "preprocess.json"
    path.write_text(json.dumps(cases))
    print(path.name, path.stat().st_size, [sum(base64.b64decode(c["canny"]["20,60"])) // 255 for c in cases])


if __name__ == "__main__":
    main()
