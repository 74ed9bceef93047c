"""Dumps torch's scaled_dot_product_attention for test/kernels/attention.test.ts, as JSON of rounded inputs' seeds and results.

python test/reference/kernels_attention.py  →  test/reference/fixtures/kernels-attention.safetensors
Inputs are f16-representable f32, so that f16 and f32 kernels read the same values.
"""

import pathlib

import torch
from safetensors.torch import save_file
from torch.nn.functional import scaled_dot_product_attention as sdpa

torch.manual_seed(0)
out = {}


def heads_first(x, heads):  # [b, n, h·d] → [b, h, n, d]
    b, n, c = x.shape
    return x.reshape(b, n, heads, c // heads).transpose(1, 2)


def rand(*shape, gain=1.5):
    return (torch.randn(*shape) * gain).half().float()


def spatial(name, b, n, bk, m, heads, d, causal=False, scale=None, gain=1.5):
    q, k, v = rand(b, n, heads * d, gain=gain), rand(bk, m, heads * d, gain=gain), rand(bk, m, heads * d)
    ke, ve = (x.repeat_interleave(b // bk, 0) for x in (k, v))
    y = sdpa(*(heads_first(x, heads) for x in (q, ke, ve)), is_causal=causal, scale=scale)
    out.update({f"{name}.q": q, f"{name}.k": k, f"{name}.v": v, f"{name}.y": y.transpose(1, 2).reshape(b, n, heads * d)})


def temporal(name, b, f, p, heads, d):
    qkv = rand(b * f, p, 3 * heads * d)
    # [b·f, p, 3·h·d] → 3 × [b·p, h, f, d]
    q, k, v = qkv.reshape(b, f, p, 3, heads, d).permute(3, 0, 2, 4, 1, 5).reshape(3, b * p, heads, f, d)
    y = sdpa(q, k, v).reshape(b, p, heads, f, d).permute(0, 3, 1, 2, 4).reshape(b * f, p, heads * d)
    out.update({f"{name}.qkv": qkv, f"{name}.y": y})


spatial("self", 1, 50, 1, 50, 2, 40)
spatial("cross", 4, 19, 2, 77, 1, 16)
spatial("causal", 2, 21, 2, 21, 3, 8, causal=True)
spatial("one", 1, 1, 1, 1, 1, 20)
spatial("steep", 1, 9, 1, 40, 1, 64, gain=8)  # scores beyond ±200: exp without the shift overflows
spatial("wide", 1, 5, 1, 11, 1, 512, scale=0.05)
temporal("frames16", 1, 16, 9, 2, 8)
temporal("frames5", 2, 5, 3, 1, 12)
temporal("frames33", 1, 33, 5, 1, 16)

save_file({k: v.contiguous().half() if not k.endswith(".y") else v.contiguous() for k, v in out.items()}, pathlib.Path(__file__).parent / "fixtures" / "kernels-attention.safetensors")
