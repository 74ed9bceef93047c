"""Stable Diffusion 1.5 with AnimateLCM's motion modules at their published sizes, random weights, in the forms people have;
and what PyTorch makes of one UNet call. 13 GB on the disk, delete them afterwards; `npm run full-size` loads them.

    python test/reference/full_size.py FOLDER      needs 12 GB of memory

FOLDER/diffusers                 StableDiffusionPipeline's folder, f16 safetensors (diffusers' and transformers' writers)
FOLDER/motion                    MotionAdapter's folder, f16
FOLDER/sd15-f16.safetensors      the same networks in LDM's names
FOLDER/sd15-f32.ckpt             the same by torch.save, f32, under "state_dict"
FOLDER/motion-f32.ckpt           the motion modules in AnimateLCM's names, f32, without positional encodings
FOLDER/reference.safetensors     latents, text, and UNetMotionModel's answer at timestep 499, one frame of 256 × 256
"""

import json
import pathlib
import shutil
import sys

import torch
from diffusers import AutoencoderKL, MotionAdapter, UNet2DConditionModel, UNetMotionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from common import FIXTURES, randn

torch.set_num_threads(2)
VAE = dict(block_out_channels=(128, 256, 512, 512), layers_per_block=2, sample_size=512, scaling_factor=0.18215,
           down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4)
CLIP = dict(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
            max_position_embeddings=77, hidden_act="quick_gelu", projection_dim=768)


def drawn(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Values that f16 holds exactly: matrices of gain 1, norms around 1, all from one noise that is shifted along."""
    noise = torch.empty(2**20 + 7).uniform_(-1, 1, generator=torch.Generator().manual_seed(seed))
    for i, (name, p) in enumerate(module.named_parameters()):
        values = noise.roll(997 * i).repeat(-(-p.numel() // noise.numel()))[: p.numel()].reshape(p.shape)
        if p.dim() > 1:
            values = values * (3 / p[0].numel()) ** 0.5
        else:
            values = 1 + 0.2 * values if "norm" in name and name.endswith("weight") else 0.1 * values
        p.copy_(values.half())
    return module.eval()


def main(out: pathlib.Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    unet = drawn(UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8), 1)
    motion = drawn(MotionAdapter(motion_max_seq_length=32), 2)

    latents, text = randn(3, 1, 4, 1, 32, 32), randn(4, 1, 77, 768)
    model = UNetMotionModel.from_unet2d(unet, motion).eval()
    noise = model(latents, 499, encoder_hidden_states=text, return_dict=False)[0]
    print("UNet call:", tuple(noise.shape), "of standard deviation", noise.std().item())
    save_file({"latents": latents, "text": text, "noise": noise.contiguous()}, out / "reference.safetensors")
    del model

    vae = drawn(AutoencoderKL(**VAE), 5)
    clip = drawn(CLIPTextModel(CLIPTextConfig(**CLIP)), 6)
    tables = json.loads((FIXTURES / "names" / "sd15.json").read_text())
    states = {"unet": unet.state_dict(), "vae": vae.state_dict(), "text": clip.state_dict()}
    single = {f: states[part][n].reshape(shape) for part, rows in tables.items() for n, _, f, shape in rows}
    torch.save({"state_dict": single}, out / "sd15-f32.ckpt")
    save_file({n: t.half().contiguous() for n, t in single.items()}, out / "sd15-f16.safetensors")
    originals = {}
    for name, value in motion.state_dict().items():
        if name.endswith("pos_embed.pe"):
            continue
        head, rest = name.split(".motion_modules.")
        index, rest = rest.split(".", 1)
        for a, b in [("attn1.", "attention_blocks.0."), ("attn2.", "attention_blocks.1."), ("norm1.", "norms.0."),
                     ("norm2.", "norms.1."), ("norm3.", "ff_norm.")]:
            rest = rest.replace("transformer_blocks.0." + a, "transformer_blocks.0." + b)
        originals[f"{head}.motion_modules.{index}.temporal_transformer.{rest}"] = value
    torch.save(originals, out / "motion-f32.ckpt")

    folder = out / "diffusers"
    for part, network in [("unet", unet), ("vae", vae), ("text_encoder", clip)]:
        network.half().save_pretrained(folder / part)
    motion.half().save_pretrained(out / "motion")
    shutil.copytree(FIXTURES / "tiny-a" / "tokenizer", folder / "tokenizer", dirs_exist_ok=True)
    shutil.copytree(FIXTURES / "tiny-a" / "scheduler", folder / "scheduler", dirs_exist_ok=True)
    index = json.loads((FIXTURES / "tiny-a" / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({k: v for k, v in index.items() if k != "motion_adapter"}))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
