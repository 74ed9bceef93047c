"""Fixtures for test/io/names: names and shapes of published sizes, and the same networks under foreign names.

SD1.5 in LDM's single-file names comes from diffusers' scripts/convert_diffusers_to_original_stable_diffusion.py (give its
path), run on tensors without memory, and is checked backwards with diffusers' single-file loader. Motion modules in
AnimateDiff's names are converted by diffusers' convert_animatediff_checkpoint_to_diffusers. LoRAs are written by peft and
diffusers from a small UNet. Writes fixtures/names/.

    python checkpoint-names.py path/to/convert_diffusers_to_original_stable_diffusion.py
"""

import importlib.util
import json
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ControlNetModel, MotionAdapter, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders import single_file_utils as sf
from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_kohya
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

OUT = Path(__file__).parent / "fixtures" / "names"
SD15 = dict(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
CLIP = dict(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
            max_position_embeddings=77, hidden_act="quick_gelu", projection_dim=768)
SMALL = dict(sample_size=8, block_out_channels=(8, 8, 8, 8), norm_num_groups=4, cross_attention_dim=8, attention_head_dim=2)


def script(path):
    spec = importlib.util.spec_from_file_location("to_original", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names_of(state, convert):
    """Which foreign name each name becomes: every tensor is filled (without memory) with its own index."""
    marked = {n: torch.tensor(float(i)).expand(t.shape) for i, (n, t) in enumerate(state.items())}
    after = convert(dict(marked))
    keys = list(state)
    mapping = {keys[int(t.flatten()[0])]: n for n, t in after.items()}
    assert len(mapping) == len(state) == len(after), (len(mapping), len(state), len(after))
    return mapping, after


def single_file(to_original):
    with torch.device("meta"):
        unet = UNet2DConditionModel(**SD15).state_dict()
        vae = AutoencoderKL(in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(128, 256, 512, 512),
                            layers_per_block=2, norm_num_groups=32, sample_size=512,
                            down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4).state_dict()
        text = CLIPTextModel(CLIPTextConfig(**CLIP)).state_dict()
    result = {}
    for part, state, prefix, convert in [
        ("unet", unet, "model.diffusion_model.", to_original.convert_unet_state_dict),
        ("vae", vae, "first_stage_model.", to_original.convert_vae_state_dict),
        ("text", text, "cond_stage_model.transformer.", to_original.convert_text_enc_state_dict),
    ]:
        mapping, after = names_of(state, convert)
        result[part] = [[n, list(state[n].shape), prefix + f, list(after[f].shape)] for n, f in mapping.items()]
    # Backwards with the loader's own converters.
    ldm = {f: torch.tensor(float(i)).expand(s) for i, (_, _, f, s) in enumerate(result["unet"])}
    config = dict(UNet2DConditionModel(**SMALL).config)
    back = sf.convert_ldm_unet_checkpoint(ldm, config)
    assert {n: int(t.flatten()[0]) for n, t in back.items()} == {n: i for i, (n, *_) in enumerate(result["unet"])}
    print({k: len(v) for k, v in result.items()})
    (OUT / "sd15.json").write_text(json.dumps(result, separators=(",", ":")))


def motion():
    with torch.device("meta"):
        adapter = MotionAdapter().state_dict()
    originals = {}
    for n, t in adapter.items():
        # AnimateDiff's names, by hand from its motion_module.py; two encodings where diffusers keeps one.
        head, rest = n.split(".motion_modules.")
        index, rest = rest.split(".", 1)
        if rest.endswith("pos_embed.pe"):
            for i in (0, 1):
                originals[f"{head}.motion_modules.{index}.temporal_transformer.transformer_blocks.0.attention_blocks.{i}.pos_encoder.pe"] = t
            continue
        for a, b in [("attn1.", "attention_blocks.0."), ("attn2.", "attention_blocks.1."), ("norm1.", "norms.0."),
                     ("norm2.", "norms.1."), ("norm3.", "ff_norm.")]:
            rest = rest.replace("transformer_blocks.0." + a, "transformer_blocks.0." + b)
        originals[f"{head}.motion_modules.{index}.temporal_transformer.{rest}"] = t
    converted = sf.convert_animatediff_checkpoint_to_diffusers({k: torch.zeros(1).expand(v.shape) for k, v in originals.items()})
    # That converter drops the encodings (the model makes its own).
    assert set(converted) == {n for n in adapter if not n.endswith("pos_embed.pe")}
    (OUT / "motion.json").write_text(json.dumps(
        {"original": [[k, list(v.shape)] for k, v in originals.items()], "diffusers": [[k, list(v.shape)] for k, v in adapter.items()]},
        separators=(",", ":")))
    print("motion", len(originals), len(adapter))


def loras():
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**SMALL)
    unet.add_adapter(LoraConfig(r=2, lora_alpha=4, target_modules=[
        "to_q", "to_out.0", "proj_in", "ff.net.0.proj", "ff.net.2", "conv1", "conv_shortcut", "time_emb_proj",
        "downsamplers.0.conv", "upsamplers.0.conv"]))
    state = get_peft_model_state_dict(unet)
    state = {k: v for k, v in state.items() if "down_blocks.3" not in k and "up_blocks.0" not in k and "up_blocks.2" not in k and "down_blocks.2" not in k}
    state = {k: torch.randn(v.shape) for k, v in state.items()}
    half = {k: v.half() for k, v in state.items()}
    # Saved through the pipeline's own writer: unet.….lora_A.weight
    StableDiffusionPipeline.save_lora_weights(OUT, unet_lora_layers=half, weight_name="lora-peft.safetensors")
    old = convert_state_dict_to_diffusers({f"unet.{k}": v for k, v in half.items()})
    save_file({k: v.contiguous() for k, v in old.items()}, OUT / "lora-diffusers.safetensors")
    kohya = convert_state_dict_to_kohya({f"unet.{k}": v for k, v in half.items()})
    kohya = {k.replace("unet.", "lora_unet_", 1) if k.startswith("unet.") else k: v for k, v in kohya.items()}
    kohya = {k.split(".", 1)[0] + "." + k.split(".", 1)[1] if k.startswith("lora_unet_") else k: v for k, v in kohya.items()}
    print(sorted(kohya)[:4], sorted(old)[:2], sorted(state)[:2])
    save_file({k: v.contiguous() for k, v in kohya.items()}, OUT / "lora-kohya.safetensors")
    text = CLIPTextModel(CLIPTextConfig(vocab_size=50, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2))
    text.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["q_proj", "fc1"]))
    StableDiffusionPipeline.save_lora_weights(OUT, text_encoder_lora_layers={k: torch.randn(v.shape) for k, v in get_peft_model_state_dict(text).items()},
                                              weight_name="lora-text.safetensors")
    (OUT / "lora-modules.json").write_text(json.dumps(sorted({k.rsplit(".lora_", 1)[0] for k in state})))


def controlnet():
    with torch.device("meta"):
        net = ControlNetModel(**{k: v for k, v in SD15.items() if k != "sample_size"}).state_dict()
    (OUT / "controlnet.json").write_text(json.dumps([[k, list(v.shape)] for k, v in net.items()], separators=(",", ":")))


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    single_file(script(sys.argv[1]))
    motion()
    controlnet()
    loras()
