"""AnimateLCM-I2V's colour matching by OpenCV → fixtures/colour-match.json. Needs opencv-python-headless besides requirements.txt.

All of HSV is covered: every colour of a coarse grid to HSV, every HSV of another back, and whole matchings. Rows are multiples of
64 pixels, so that OpenCV's vectorised loop does all of them: what is left of a row it rounds otherwise.
"""

import base64
import json

import cv2
import numpy as np

from common import FIXTURES


def data(x: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(x).tobytes()).decode()


def match(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Means of hue (a little), saturation and value (fully) of `target` moved to those of `source`; RGB u8."""
    a, b = cv2.cvtColor(source, cv2.COLOR_RGB2HSV), cv2.cvtColor(target, cv2.COLOR_RGB2HSV)
    for k, (share, top) in enumerate([(0.03, 180), (1.0, 255), (1.0, 255)]):
        b[..., k] = np.clip(b[..., k] + share * (a[..., k].mean() - b[..., k].mean()), 0, top).astype(np.uint8)
    return cv2.cvtColor(b, cv2.COLOR_HSV2RGB)


def main() -> None:
    steps = np.array([0, 1, 2, 37, 64, 101, 127, 128, 170, 200, 253, 254, 255], np.uint8)
    whole = lambda x: x[:, : x.shape[1] // 64 * 64]
    rgb = whole(np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(1, -1, 3))
    hues = np.array([0, 1, 14, 15, 29, 30, 31, 59, 60, 75, 89, 90, 119, 120, 121, 149, 150, 178, 179, 180], np.uint8)
    hsv = whole(np.stack(np.meshgrid(hues, steps, steps, indexing="ij"), -1).reshape(1, -1, 3))
    rng = np.random.default_rng(0)
    cases = []
    for i in range(3):
        source = rng.integers(0, 256, (9, 64, 3), np.uint8) // (1 + i)
        target = (rng.integers(0, 256, (8, 64, 3), np.uint8) * [0.9, 0.5, 0.7 - 0.2 * i]).astype(np.uint8)
        cases.append({"source": data(source), "target": data(target), "result": data(match(source, target))})
    out = {"rgb": data(rgb), "hsv": data(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)), "back": {"hsv": data(hsv), "rgb": data(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))}, "cases": cases}
    path = FIXTURES / "colour-match.json"
    path.write_text(json.dumps(out))
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
