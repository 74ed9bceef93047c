"""Write the trained networks as f16 diffusers folders (base, motion-teacher, motion-lcm) and a kohya LoRA file.

    python export.py [--work work] [--out ..]
"""
import argparse
import os

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from safetensors.torch import save_file

from nets import make_adapter, make_text, make_unet
from train import load_vae, tokenizer


def kohya(lora):
    """LoRA tensors under kohya's names; alpha = rank, so a scale of 1 is what was trained"""
    out = {}
    for n, q in lora.items():
        key, down, up, shape = "lora_unet_" + n.replace(".", "_"), q["down"], q["up"], q["shape"]
        rank = down.shape[0]
        if len(shape) == 4:
            down, up = down.view(rank, *shape[1:]), up.view(*up.shape, 1, 1)
        out[key + ".lora_down.weight"] = down.half().contiguous()
        out[key + ".lora_up.weight"] = up.half().contiguous()
        out[key + ".alpha"] = torch.tensor(float(rank)).half()
    return out


def export(a):
    ck = torch.load(f"{a.work}/teacher.pt")
    tok, vae = tokenizer(a), load_vae(a)
    text, unet, adapter = make_text(tok), make_unet(), make_adapter()
    text.load_state_dict(ck["text"])
    unet.load_state_dict({k: ck["unet"][k] for k in unet.state_dict()})
    adapter.load_state_dict({k: v for k, v in ck["unet"].items() if "motion_modules" in k})
    scheduler = DDIMScheduler(
        num_train_timesteps=1000, beta_schedule="linear", beta_start=0.00085, beta_end=0.012, clip_sample=False,
        set_alpha_to_one=False, steps_offset=1, prediction_type="epsilon")
    StableDiffusionPipeline(
        vae=vae.half(), text_encoder=text.half(), tokenizer=tok, unet=unet.half(), scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False).save_pretrained(f"{a.out}/base")
    adapter.half().save_pretrained(f"{a.out}/motion-teacher")
    if os.path.exists(f"{a.work}/lcm-video.pt"):
        ck = torch.load(f"{a.work}/lcm-video.pt")
        lcm = make_adapter()
        lcm.load_state_dict({**lcm.state_dict(), **ck["motion"]})  # the position codes are constants
        lcm.half().save_pretrained(f"{a.out}/motion-lcm")
        save_file(kohya(ck["lora"]), f"{a.out}/lcm-lora.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", default="work")
    ap.add_argument("--out", default="..")
    export(ap.parse_args())
