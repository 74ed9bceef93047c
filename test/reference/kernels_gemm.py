"""Dumps torch's linear layers and convolutions for test/kernels/linear.test.ts and conv2d.test.ts.

python test/reference/kernels_gemm.py  →  test/reference/fixtures/kernels-gemm.safetensors
Inputs are f16-representable, stored as f16; results are f32. Pictures are channels last, weights as PyTorch has them.
"""

import pathlib

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

torch.manual_seed(0)
out = {}


def rand(*shape, gain=1.0):
    return (torch.randn(*shape) * gain).half().float()


def put(name, **tensors):
    for k, t in tensors.items():
        out[f"{name}.{k}"] = t.contiguous() if k == "y" else t.half().contiguous()


def linear(name, rows, k, n, act=None):
    x, w, b = rand(rows, k), rand(n, k, gain=k**-0.5), rand(n)
    y = F.linear(x, w, b)
    put(name, x=x, w=w, b=b, y=act(y) if act else y)


linear("wide", 33, 72, 40)
linear("odd", 5, 9, 5)
linear("row", 1, 320, 7)
linear("silu", 4, 16, 12, F.silu)
linear("gelu", 4, 16, 12, F.gelu)
linear("gelu_tanh", 4, 16, 12, lambda v: F.gelu(v, approximate="tanh"))
linear("quick_gelu", 4, 16, 12, lambda v: v * torch.sigmoid(1.702 * v))
linear("relu", 4, 16, 12, F.relu)

# diffusers' GEGLU: value · gelu(gate), halves of one projection
x, w, b = rand(19, 24), rand(80, 24, gain=0.2), rand(80)
value, gate = F.linear(x, w, b).chunk(2, -1)
put("geglu", x=x, w=w, b=b, y=value * F.gelu(gate))

# two sources, a bias by rows, a residual, three weights side by side
x, x2, r = rand(12, 16), rand(12, 8), rand(12, 27)
ws, g = [rand(9, 24, gain=0.2) for _ in range(3)], rand(3, 27)
y = F.silu(F.linear(torch.cat([x, x2], -1), torch.cat(ws)) + g.repeat_interleave(4, 0)) + r
put("all", x=x, x2=x2, r=r, w0=ws[0], w1=ws[1], w2=ws[2], g=g, y=y)


def conv(name, frames, h, w, c, o, kernel=3, stride=1, pad=(1, 1, 1, 1), to=None):
    x, weight, b = rand(frames, c, h, w), rand(o, c, kernel, kernel, gain=(c * kernel**2) ** -0.5), rand(o)
    top, left, bottom, right = pad
    v = F.interpolate(x, size=to, mode="nearest") if to else x
    y = F.conv2d(F.pad(v, (left, right, top, bottom)), weight, b, stride=stride)
    put(name, x=x.permute(0, 2, 3, 1), w=weight, b=b, y=y.permute(0, 2, 3, 1))


conv("conv_same", 2, 7, 6, 16, 24)
conv("conv_three", 1, 6, 5, 3, 20)
conv("conv_four", 2, 4, 5, 4, 9)
conv("conv_out", 1, 9, 8, 12, 4)
conv("conv_sixteen", 1, 6, 9, 16, 16)
conv("conv_odd", 1, 5, 4, 9, 5)
conv("conv_one", 1, 4, 3, 8, 40, kernel=1, pad=(0, 0, 0, 0))
conv("conv_stride", 2, 7, 8, 8, 12, stride=2)
conv("conv_vae_down", 1, 6, 8, 8, 12, stride=2, pad=(0, 0, 1, 1))
conv("conv_up", 2, 3, 4, 8, 12, to=(6, 8))
conv("conv_up_odd", 1, 3, 4, 8, 12, to=(5, 7))
conv("conv_five", 1, 6, 6, 5, 6, kernel=5, pad=(2, 2, 2, 2))
conv("conv_deep", 1, 8, 8, 64, 64)

x, x2, w, b = rand(4, 24, 5, 4), rand(4, 8, 5, 4), rand(17, 32, 3, 3, gain=0.06), rand(17)
g, r = rand(2, 17), rand(4, 17, 5, 4)
y = F.silu(F.conv2d(torch.cat([x, x2], 1), w, b, padding=1) + g.repeat_interleave(2, 0)[:, :, None, None]) + r
last = lambda t: t.permute(0, 2, 3, 1)
put("conv_all", x=last(x), x2=last(x2), w=w, b=b, g=g, r=last(r), y=last(y))

path = pathlib.Path(__file__).parent / "fixtures" / "kernels-gemm.safetensors"
save_file(out, str(path))
print(path, path.stat().st_size)
