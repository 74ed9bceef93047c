"""Dumps torch's norms, embeddings, pooling and LoRA products for test/kernels/{group-norm,layer-norm,…}.test.ts.

python test/reference/kernels_norms.py  →  test/reference/fixtures/kernels-norms.safetensors
Inputs are f16-representable, stored as f16; results are f32. Pictures are channels last, weights as PyTorch has them.
"""

import pathlib

import torch
from diffusers.models.embeddings import get_timestep_embedding
from safetensors.torch import save_file
from torch.nn import functional as F

torch.manual_seed(0)
out = {}


def rand(*shape, gain=1.0, mean=0.0):
    return (torch.randn(*shape) * gain + mean).half().float()


def put(name, **tensors):
    for k, t in tensors.items():
        out[f"{name}.{k}"] = t.contiguous() if k == "y" else t.half().contiguous()


def group_norm(name, frames, rows, c, groups, c2=0, jointly=1, mean=0.0, gain=1.0, silu=False, eps=1e-5):
    x = rand(frames, rows, c + c2, gain=gain, mean=mean)
    w, b = rand(c + c2, gain=0.3, mean=1), rand(c + c2)
    # [f, p, c] → [f / jointly, c, jointly · p]
    v = x.reshape(frames // jointly, jointly * rows, c + c2).transpose(1, 2).double()
    y = F.group_norm(v, groups, w.double(), b.double(), eps)
    y = (F.silu(y) if silu else y).transpose(1, 2).reshape(x.shape).float()
    put(name, x=x[..., :c], w=w, b=b, y=y, **({"x2": x[..., c:]} if c2 else {}))


group_norm("group.plain", 3, 35, 40, 4)  # groups of 10 channels, rows no multiple of anything
group_norm("group.single", 1, 1, 64, 8)
group_norm("group.silu", 2, 21, 32, 8, silu=True, eps=1e-6)
group_norm("group.odd", 2, 9, 15, 5)
group_norm("group.joint", 6, 7, 24, 4, jointly=3)
group_norm("group.two", 2, 19, 20, 3, c2=16, silu=True)  # groups of 12 straddle the border at 20
group_norm("group.two-odd", 2, 5, 7, 2, c2=3)
group_norm("group.offset", 2, 300, 16, 4, mean=1000, gain=2)  # f16 steps of 0.5 there


def layer_norm(name, rows, c, mean=0.0, gain=1.0, add=None):
    x, w, b = rand(rows, c, gain=gain, mean=mean), rand(c, gain=0.3, mean=1), rand(c)
    y = F.layer_norm(x.double(), (c,), w.double(), b.double(), 1e-5)
    extra = {}
    if add:
        entries, each = add
        extra["add"] = rand(entries, c)
        y = y + extra["add"].double()[torch.arange(rows) // each % entries]
    put(name, x=x, w=w, b=b, y=y.float(), **extra)


layer_norm("layer.plain", 21, 40)
layer_norm("layer.row", 1, 320)
layer_norm("layer.odd", 9, 37)
layer_norm("layer.tiny", 70, 4)
layer_norm("layer.offset", 9, 64, mean=1000, gain=2)
layer_norm("layer.added", 30, 24, add=(3, 5))  # two clips of three frames, five positions each

ids, table, positions = torch.randint(0, 300, (14,)), rand(300, 20), rand(7, 20)
out["embedding.ids"] = ids.float()
put("embedding", table=table, positions=positions, y=F.embedding(ids, table) + positions.repeat(2, 1))
out["embedding.bare"] = F.embedding(ids, table)

t = torch.tensor([0, 1, 249, 499, 749, 999, 123.5])
out["timestep.t"] = t
for flip, shift, dim in [(True, 0, 320), (False, 1, 64)]:
    out[f"timestep.{'flip' if flip else 'plain'}"] = get_timestep_embedding(t, dim, flip_sin_to_cos=flip, downscale_freq_shift=shift)

for name, h, w in [("even", 4, 6), ("odd", 5, 7), ("one", 1, 1)]:
    x = rand(2, 12, h, w)
    y = F.avg_pool2d(F.pad(x, (0, w % 2, 0, h % 2), mode="replicate"), 2, 2)
    put(f"pool.{name}", x=x.permute(0, 2, 3, 1), y=y.permute(0, 2, 3, 1))

v = torch.cat([rand(61, gain=3), torch.tensor([0.0, -0.0, 9, -9, 0.5, -0.5, 2**-14])])
put("activations", x=v)
for name, act in [("silu", F.silu), ("gelu", F.gelu), ("gelu_tanh", lambda a: F.gelu(a, approximate="tanh")), ("quick_gelu", lambda a: a * torch.sigmoid(1.702 * a)), ("relu", F.relu)]:
    out[f"activations.{name}"] = act(v.double()).float()

# LoRA on a linear layer, a 1×1 and a 3×3 convolution, and with Tucker's core (LyCORIS: up · mid · down)
for name, shape, down, up in [
    ("linear", (12, 20), (4, 20), (12, 4)),
    ("pointwise", (12, 20, 1, 1), (4, 20), (12, 4)),
    ("conv", (9, 8, 3, 3), (5, 8, 3, 3), (9, 5, 1, 1)),
]:
    w, d, u = rand(*shape), rand(*down, gain=0.5), rand(*up, gain=0.5)
    put(f"lora.{name}", w=w, down=d, up=u, y=w + 0.75 * (u.flatten(1) @ d.flatten(1)).reshape(shape))
w, d, m, u = rand(9, 8, 3, 3), rand(5, 8, 1, 1, gain=0.5), rand(6, 5, 3, 3, gain=0.5), rand(9, 6, 1, 1, gain=0.5)
put("lora.mid", w=w, down=d, mid=m, up=u, y=w + 0.75 * torch.einsum("nihw,ijhw,jchw->nchw", u.expand(-1, -1, 3, 3), m, d.expand(-1, -1, 3, 3)))

path = pathlib.Path(__file__).parent / "fixtures" / "kernels-norms.safetensors"
save_file(out, path)
print(path.name, path.stat().st_size, "bytes")
