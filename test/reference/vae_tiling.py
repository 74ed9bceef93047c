"""The VAE in tiles, both ways: diffusers' enable_vae_tiling on fixtures/tiny-a.

Tensors `<case>.in` and `<case>.out` in PyTorch's layouts (encoding: mean and log-variance).
"""

import torch
from diffusers import AutoencoderKL

from common import FIXTURES, randn, save


@torch.no_grad()
def main() -> None:
    vae = AutoencoderKL.from_pretrained(FIXTURES / "tiny-a" / "vae", torch_dtype=torch.float32).eval()
    vae.enable_tiling()
    tensors = {}
    # tiles of 8 latents, 6 apart: whole ones, a short rest, a single row beyond one tile, and what fits one
    for h, w in [(14, 10), (9, 8), (8, 8)]:
        z = randn(h * w, 2, 4, h, w)
        tensors |= {f"decode-{h}x{w}.in": z, f"decode-{h}x{w}.out": vae.decode(z).sample}
    x = randn(7, 2, 3, 56, 40)
    moments = vae.encode(x).latent_dist.parameters
    tensors |= {"encode-56x40.in": x, "encode-56x40.out": moments}
    save(FIXTURES / "vae-tiling.safetensors", tensors)


main()
