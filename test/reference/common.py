"""What the reference scripts share: seeded weights, the safetensors writer, f64 runs, AnimateDiff's own motion norm.

Weights are drawn, then rounded to f16, so that a file holds half the bytes and f32 and f16 runs read the same numbers.
"""

import contextlib
import json
import math
import pathlib
import warnings

import diffusers
import torch
import transformers
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
diffusers.logging.set_verbosity_error()
diffusers.utils.logging.disable_progress_bar()
transformers.logging.set_verbosity_error()
torch.set_grad_enabled(False)
torch.set_num_threads(1)  # many small tensors: more threads only wait for each other
FIXTURES = pathlib.Path(__file__).parent / "fixtures"
NORMS = (torch.nn.GroupNorm, torch.nn.LayerNorm)
# Last layers of residual branches: drawn smaller, as in trained networks, so that what comes in survives to the end.
BRANCH_ENDS = ("conv2", "proj_out", "to_out.0", "ff.net.2", "out_proj", "fc2")


def rounded(x: torch.Tensor) -> torch.Tensor:
    """The nearest f16 values, as f32."""
    return x.half().float()


def randn(seed: int, *shape: int, scale: float = 1.0) -> torch.Tensor:
    """f16-representable normal numbers of their own seed."""
    return rounded(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale)


def randomise(module: torch.nn.Module, seed: int, branch: float = 0.5) -> torch.nn.Module:
    """Gives every parameter a value that shows when it is left out: norms around 1, biases around 0, weights of variance
    gain²/fan-in (diffusers initialises some of them to zero). Stored positional tables are rounded to f16."""
    g = torch.Generator().manual_seed(seed)
    for path, layer in module.named_modules():
        gain = branch if path.endswith(BRANCH_ENDS) else 1
        for name, p in layer.named_parameters(recurse=False):
            noise = torch.randn(p.shape, generator=g)
            if isinstance(layer, NORMS):
                value = 1 + 0.2 * noise if name == "weight" else 0.2 * noise
            elif isinstance(layer, torch.nn.Embedding):
                value = 0.5 * noise
            elif p.ndim < 2:
                value = 0.1 * noise
            else:
                value = noise * gain / math.sqrt(p[0].numel())
            p.copy_(rounded(value))
        for name, b in layer.named_buffers(recurse=False):
            if name == "pe":
                b.copy_(rounded(b))
    return module.eval()


class PerFrameNorm(torch.nn.GroupNorm):
    """The motion modules' norm as in AnimateDiff's own code: each frame by itself, `x [b, c, f, h, w]`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, c, f, h, w = x.shape
        frames = x.permute(0, 2, 1, 3, 4).reshape(b * f, c, h, w)
        return super().forward(frames).reshape(b, f, c, h, w).permute(0, 2, 1, 3, 4)


@contextlib.contextmanager
def motion_norm(module: torch.nn.Module, kind: str):
    """Runs with the motion modules' norm over each "frame" instead of diffusers' "joint"."""
    motions = [m for m in module.modules() if isinstance(m, AnimateDiffTransformer3D)]
    saved = [m.norm.__class__ for m in motions]
    for m in motions:
        m.norm.__class__ = PerFrameNorm if kind == "frame" else saved[0]
    try:
        yield
    finally:
        for m, cls in zip(motions, saved):
            m.norm.__class__ = cls


@contextlib.contextmanager
def in_f64():
    """For runs in f64: noise is still drawn as f32, so that both precisions see the same numbers, and transformers' causal
    mask, filled with the least f64 number, gets a type that holds it."""
    randn_, full = torch.randn, torch.full

    def draw(*args, dtype=None, **kwargs):
        return randn_(*args, dtype=torch.float32 if dtype == torch.float64 else dtype, **kwargs).to(dtype or torch.float32)

    def fill(size, value, **kwargs):
        return full(size, value, **({"dtype": torch.float64} if value == torch.finfo(torch.float64).min else {}) | kwargs)

    torch.randn, torch.full = draw, fill
    try:
        yield
    finally:
        torch.randn, torch.full = randn_, full


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """Relative L2 distance."""
    return (torch.linalg.vector_norm(a.double() - b.double()) / torch.linalg.vector_norm(b.double())).item()


def check(name: str, x: torch.Tensor, least: float = 0.02) -> torch.Tensor:
    """`x`, once it is known to be finite and not (nearly) constant."""
    assert torch.isfinite(x).all(), f"{name} is not finite"
    if x.is_floating_point() and x.numel() > 1:
        assert x.std() > least, f"{name} hardly varies: {x.std().item():.4f}"
    return x


def save(path: pathlib.Path, tensors: dict[str, torch.Tensor], half=(), **metadata) -> None:
    """Writes a safetensors file; names containing one of `half` go as F16, which must lose nothing."""
    out = {}
    for name, x in tensors.items():
        x = x.contiguous().clone()
        if any(part in name for part in half) and x.dtype == torch.float32:
            assert torch.equal(rounded(x), x), f"{name} is not f16-representable"
            x = x.half()
        out[name] = x
    save_file(out, path, metadata={k: json.dumps(v) for k, v in metadata.items()})
    print(f"{path.name}: {len(out)} tensors, {path.stat().st_size} bytes")
