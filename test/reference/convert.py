"""Checks `kineograph convert` against diffusers itself (no fixtures; run it by hand after `npm run build`):

- a random model with Stable Diffusion 1.5's choices, saved by diffusers, becomes one file whose UNet and VAE diffusers' own
  single-file converters turn back into the very same weights; and a folder again, which diffusers loads, byte for byte;
- a MotionAdapter saved by diffusers becomes AnimateDiff's names, which diffusers' converter reads, and comes back;
- a LoRA converted to kohya's and back to diffusers' names gives diffusers the same latents.
"""

import filecmp
import pathlib
import subprocess
import tempfile

import torch
from diffusers import AnimateDiffPipeline, AutoencoderKL, DDIMScheduler, MotionAdapter, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders import single_file_utils as sf
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from common import FIXTURES, randomise, relative
from pipelines import RED
from runner import load, run

CLI = pathlib.Path(__file__).parents[2] / "dist/src/cli/main.js"


def convert(*words) -> None:
    print("convert", *[str(w).rsplit("/", 1)[-1] for w in words], flush=True)
    subprocess.run(["node", CLI, "convert", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def equal(a: dict, b: dict) -> None:
    assert a.keys() == b.keys(), sorted(a.keys() ^ b.keys())[:5]
    assert all(torch.equal(a[k].reshape(b[k].shape), b[k]) for k in a)


def model(tmp: pathlib.Path) -> None:
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(32, 64), layers_per_block=2, cross_attention_dim=64, attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    vae = AutoencoderKL(block_out_channels=(32, 32), layers_per_block=2, latent_channels=4, down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2)
    text = CLIPTextModel(CLIPTextConfig(vocab_size=49408, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=1))
    for i, m in enumerate((unet, vae, text)):
        randomise(m, i)
    # A first conversion of any single file gives a folder with CLIP's real tokenizer; the pipeline is saved with it below.
    pipe = StableDiffusionPipeline(vae, text, None, unet, DDIMScheduler(), None, None, requires_safety_checker=False)
    pipe.save_pretrained(tmp / "folder")
    convert(tmp / "folder", tmp / "one.safetensors")
    one = load_file(tmp / "one.safetensors")
    equal(sf.convert_ldm_unet_checkpoint(dict(one), dict(unet.config)), unet.state_dict())
    equal(sf.convert_ldm_vae_checkpoint(dict(one), dict(vae.config)), vae.state_dict())
    convert(tmp / "one.safetensors", tmp / "back")
    for part in ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"):
        assert filecmp.cmp(tmp / f"folder/{part}.safetensors", tmp / f"back/{part}.safetensors", shallow=False), part
    back = StableDiffusionPipeline.from_pretrained(tmp / "back")
    assert isinstance(back.tokenizer, CLIPTokenizer) and back.tokenizer("a red star").input_ids == [49406, 320, 736, 1565, 49407]
    for a, b in ((back.unet, unet), (back.vae, vae), (back.text_encoder, text)):
        equal(a.state_dict(), b.state_dict())
    out = back("a red star", num_inference_steps=2, height=16, width=16, output_type="latent").images
    assert torch.isfinite(out).all()
    torch.save({"state_dict": one, "epoch": 1}, tmp / "one.ckpt")
    convert(tmp / "one.ckpt", tmp / "from-ckpt.safetensors")
    assert filecmp.cmp(tmp / "one.safetensors", tmp / "from-ckpt.safetensors", shallow=False)
    print("model: diffusers reads the file's weights back exactly; folder, .ckpt and file come back byte for byte")


def motion(tmp: pathlib.Path) -> None:
    adapter = MotionAdapter(block_out_channels=(32, 64), motion_layers_per_block=1, motion_num_attention_heads=8)
    randomise(adapter, 9)
    adapter.save_pretrained(tmp / "adapter")
    convert(tmp / "adapter", tmp / "mm.safetensors")
    named = sf.convert_animatediff_checkpoint_to_diffusers(load_file(tmp / "mm.safetensors"))
    equal(named, {k: v for k, v in adapter.state_dict().items() if not k.endswith("pos_embed.pe")})
    convert(tmp / "mm.safetensors", tmp / "adapter2")
    name = "diffusion_pytorch_model.safetensors"
    assert filecmp.cmp(tmp / "adapter" / name, tmp / "adapter2" / name, shallow=False)
    equal(MotionAdapter.from_pretrained(tmp / "adapter2").state_dict(), adapter.state_dict())
    # Without encodings, as AnimateLCM was published: those that are made are diffusers'.
    bare = {k: v for k, v in load_file(tmp / "mm.safetensors").items() if "pos_encoder" not in k}
    torch.save(bare, tmp / "lcm.ckpt")
    convert(tmp / "lcm.ckpt", tmp / "adapter3")
    loaded = MotionAdapter.from_pretrained(tmp / "adapter3")
    fresh = MotionAdapter(block_out_channels=(32, 64), motion_layers_per_block=1, motion_max_seq_length=64)
    worst = max((v - fresh.state_dict()[k]).abs().max().item() for k, v in loaded.state_dict().items() if k.endswith("pos_embed.pe"))
    assert worst < 1e-5, worst
    print(f"motion: diffusers reads both forms exactly; made encodings are off diffusers' by at most {worst:.1e}")


def lora(tmp: pathlib.Path) -> None:
    small = dict(prompt=RED, frames=3, width=32, height=24, steps=2, seed=4)

    def latents(file):
        pipe = load("tiny-a")
        pipe.load_lora_weights(file)
        return run(pipe, small)[0]

    for name in ("attention", "dora", "motion"):
        source = FIXTURES / f"lora/{name}.safetensors"
        convert(source, tmp / f"{name}-kohya.safetensors", "--names", "kohya")
        convert(tmp / f"{name}-kohya.safetensors", tmp / f"{name}-diffusers.safetensors", "--names", "diffusers")
        distance = relative(latents(tmp / f"{name}-diffusers.safetensors"), latents(source))
        print(f"LoRA {name}: diffusers' latents with the converted file are off by {distance:.1e}")
        assert distance < 1e-6


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        tmp = pathlib.Path(folder)
        model(tmp)
        motion(tmp)
        lora(tmp)
