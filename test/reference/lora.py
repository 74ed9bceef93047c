"""LoRAs for fixtures/tiny-a as kohya's trainer stores them → fixtures/tiny-a-lora.safetensors and tiny-a-lora-alphas.safetensors.

The first covers the layer types of the LCM LoRA (linear, 1×1 and 3×3 convolutions, time embedding projections) and the text
encoder, with ranks that differ between modules and one alpha. The second touches every third of these layers, and its alphas
differ too. `merge` is the arithmetic: W + weight · alpha / rank · up · down. diffusers 0.39 does the same for the first file; in
the second it gives attention layers the most common alpha instead of their own, so there the arithmetic alone is the reference.
"""

import torch

from common import FIXTURES, randn, save

TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj")
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
FILE = FIXTURES / "tiny-a-lora.safetensors"
ALPHAS_FILE = FIXTURES / "tiny-a-lora-alphas.safetensors"


def modules(pipe):
    """(kohya's name, layer) of each layer that the LoRA changes."""
    for prefix, network, targets in (("lora_unet", pipe.unet, TARGETS), ("lora_te", pipe.text_encoder, TEXT_TARGETS)):
        for name, layer in network.named_modules():
            if name.endswith(targets) and "motion_modules" not in name:
                yield f"{prefix}_{name.replace('.', '_')}", layer


def write(pipe, file) -> dict[str, torch.Tensor]:
    """Writes FILE or ALPHAS_FILE; returns its tensors."""
    differ = file == ALPHAS_FILE
    tensors = {}
    for i, (name, layer) in enumerate(modules(pipe)):
        if differ and i % 3:
            continue
        rank = 2 + i % 4
        out, inputs, *kernel = layer.weight.shape
        fan = layer.weight[0].numel()
        tensors[f"{name}.lora_down.weight"] = randn(3000 + i, rank, inputs, *kernel, scale=0.7 / fan**0.5)
        tensors[f"{name}.lora_up.weight"] = randn(4000 + i, out, rank, *[1 for _ in kernel], scale=0.12)
        tensors[f"{name}.alpha"] = torch.tensor([1.0, 6.0, 2.0, 3.0, 4.0][i % 5] if differ else 2.0)
    save(file, tensors, half=("lora_", "alpha"))
    return tensors


def merge(pipe, tensors: dict[str, torch.Tensor], weight: float) -> None:
    """Adds the LoRA to the weights."""
    for name, layer in modules(pipe):
        if f"{name}.alpha" not in tensors:
            continue
        down, up = (tensors[f"{name}.lora_{k}.weight"].to(layer.weight.dtype) for k in ("down", "up"))
        rank = len(down)
        delta = (up.reshape(-1, rank) @ down.reshape(rank, -1)).reshape(layer.weight.shape)
        layer.weight += weight * tensors[f"{name}.alpha"].item() / rank * delta
