"""PyTorch's times on the CPU for cases of `kineograph bench`, for information.

python bench/peers/torch_layers.py NAME…  →  {"version", "threads", "ms": {name: median of 7, of networks of 3}} on stdout
Cases by the names of bench/peers/layers.ts, f32, in PyTorch's own layouts; unet-narrow also wants diffusers, and is left out
without it.
"""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F


def convolution(channels, size):
    x, w, b = torch.randn(1, channels, size, size), torch.randn(channels, channels, 3, 3), torch.randn(channels)
    return lambda: F.conv2d(x, w, b, padding=1)


def attention(batch, queries, keys):
    q, k, v = (torch.randn(batch, 8, n, 40) for n in (queries, keys, keys))
    return lambda: F.scaled_dot_product_attention(q, k, v)


def product(rows, inner, columns):
    a, b = torch.randn(rows, inner), torch.randn(inner, columns)
    return lambda: a @ b


def group_norm():
    x, w, b = torch.randn(16, 320, 32, 32), torch.randn(320), torch.randn(320)
    return lambda: F.group_norm(x, 32, w, b, 1e-5)


def layer_norm():
    x, w, b = torch.randn(16384, 320), torch.randn(320), torch.randn(320)
    return lambda: F.layer_norm(x, (320,), w, b)


def unet():
    """The network of bench/unet.bench.ts; its values do not matter for its time."""
    try:
        from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel
    except ImportError:
        return None
    widths = (64, 128, 256, 256)
    base = UNet2DConditionModel(sample_size=16, block_out_channels=widths, layers_per_block=2, cross_attention_dim=768)
    motion = MotionAdapter(block_out_channels=widths, motion_layers_per_block=2, motion_num_attention_heads=8)
    model = UNetMotionModel.from_unet2d(base, motion).eval()
    x, text = torch.randn(1, 4, 16, 16, 16), torch.randn(16, 77, 768)
    return lambda: model(x, torch.tensor([999]), encoder_hidden_states=text)


CASES = {
    "matmul-512": lambda: product(512, 512, 512),
    "conv3x3-320@32": lambda: convolution(320, 32),
    "conv3x3-640@16": lambda: convolution(640, 16),
    "conv3x3-1280@8": lambda: convolution(1280, 8),
    "linear-1024x320x2560": lambda: product(1024, 320, 2560),
    "attention-self-1024-8x40": lambda: attention(1, 1024, 1024),
    "attention-cross-1024x77-8x40": lambda: attention(1, 1024, 77),
    "attention-temporal-1024x16-8x40": lambda: attention(1024, 16, 16),
    "group-norm-16x32x32x320": group_norm,
    "layer-norm-16384x320": layer_norm,
    "unet-narrow": unet,
}


def median(run, repeats):
    times = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[1:])  # the first warms up


with torch.no_grad():
    cases = {name: CASES[name]() for name in sys.argv[1:] if name in CASES}
    ms = {name: median(run, 3 if name.startswith("unet") else 7) for name, run in cases.items() if run is not None}
print(json.dumps({"version": torch.__version__, "threads": torch.get_num_threads(), "ms": ms}))
