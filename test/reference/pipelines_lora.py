"""Stacks of LoRAs, DoRA and motion LoRA on fixtures/tiny-a, by diffusers and peft → fixtures/pipelines-lora.safetensors, with
the files fixtures/lora/*.safetensors as diffusers' save_lora_weights writes them.

`<case>.latents` f32; the metadata's "cases" holds the arguments in Kineograph's names.
"""

import sys

import torch
from diffusers import AnimateDiffPipeline
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from common import FIXTURES, check, randn, relative, save
from pipelines import RED
from runner import load, run

OUT = FIXTURES / "lora"
SMALL = dict(frames=3, width=32, height=24, steps=2, seed=4)
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
FILES = {
    # name: (network, peft configuration)
    "attention": ("unet", dict(r=3, lora_alpha=6, target_modules=r".*attentions\.\d+\..*\.(to_q|to_v|to_out\.0|proj_in|ff\.net\.2)")),
    "dora": ("unet", dict(r=3, lora_alpha=3, use_dora=True, target_modules=r".*(attentions\.\d+\..*\.(to_k|to_v|to_out\.0|ff\.net\.0\.proj|proj_out)|resnets\.\d+\.(conv1|conv_shortcut|time_emb_proj))")),
    "dora-text": ("text_encoder", dict(r=2, lora_alpha=4, use_dora=True, target_modules=["q_proj", "v_proj", "fc1"])),
    "motion": ("unet", dict(r=2, lora_alpha=2, target_modules=r".*motion_modules\.\d+\.transformer_blocks\.\d+\.attn[12]\.(to_q|to_k|to_v|to_out\.0)")),
}
# diffusers' writer turns only some of peft's names into its own.
ENDS = {
    ".lora.down.weight": "lora_down.weight", ".lora.up.weight": "lora_up.weight", ".lora_A.weight": "lora_down.weight", ".lora_B.weight": "lora_up.weight",
    ".lora_magnitude_vector": "dora_scale",
}
CASES = {
    "stack": [("../tiny-a-lora.safetensors", 0.8), ("attention.safetensors", -0.6)],
    "opposite": [("attention.safetensors", 0.7), ("attention-kohya.safetensors", -0.7)],
    "dora": [("dora.safetensors", 1)],
    "dora-half": [("dora.safetensors", 0.5)],
    "dora-stack": [("dora.safetensors", 0.8), ("dora-text.safetensors", 1), ("../tiny-a-lora.safetensors", -0.5)],
    "motion": [("motion.safetensors", 0.9), ("attention.safetensors", 0.5)],
}


def write(seed: int, name: str, network: str, config: dict) -> None:
    """A LoRA with numbers in it, saved by diffusers."""
    pipe = load("tiny-a")
    module = getattr(pipe, network)
    settings = LoraConfig(**config)
    module.add_adapter(settings, adapter_name="x")
    for i, (key, p) in enumerate((k, p) for k, p in module.named_parameters() if "lora_" in k):
        noise = randn(seed + i, *p.shape)
        if "magnitude" in key:
            p.copy_((p * (1 + 0.2 * noise)).half().float())
        else:
            p.copy_((noise * (0.15 if "lora_B" in key else 0.7 / p[0].numel() ** 0.5)).half().float())
    layers = {k: v.half() for k, v in convert_state_dict_to_diffusers(get_peft_model_state_dict(module, adapter_name="x")).items()}
    AnimateDiffPipeline.save_lora_weights(
        OUT, **{f"{network}_lora_layers": layers, f"{network}_lora_adapter_metadata": settings.to_dict()}, weight_name=f"{name}.safetensors",
    )


def kohya(name: str, to: str) -> None:
    """The same in kohya's spelling, DoRA's magnitudes as dora_scale."""
    out = {}
    for key, v in load_file(OUT / f"{name}.safetensors").items():
        module, part = next((key.removesuffix(end), part) for end, part in ENDS.items() if key.endswith(end))
        module = "lora_unet_" + module.removeprefix("unet.").replace(".", "_")
        out[f"{module}.{part}"] = v.reshape(-1, *[1] * max(1, v.ndim - 1)) if part == "dora_scale" else v
        out[f"{module}.alpha"] = torch.tensor(float(FILES[name][1]["lora_alpha"]))
    save_file(out, OUT / f"{to}.safetensors")


def stacked(cases):
    pipe = load("tiny-a")
    for i, (file, _) in enumerate(cases):
        pipe.load_lora_weights((OUT / file).resolve(), adapter_name=f"a{i}")
    pipe.set_adapters([f"a{i}" for i in range(len(cases))], [w for _, w in cases])
    return pipe


def main() -> None:
    OUT.mkdir(exist_ok=True)
    for i, (name, (network, config)) in enumerate(FILES.items()):
        write(100 * (i + 1), name, network, config)
    kohya("attention", "attention-kohya")
    kohya("dora", "dora-kohya")
    tensors, cases = {}, {}
    plain = run(load("tiny-a"), {"prompt": RED, **SMALL})[0]
    for name, list_ in CASES.items():
        latents = check(name, run(stacked(list_), {"prompt": RED, **SMALL})[0])
        change = relative(latents, plain)
        print(f"{name}: changes the latents by {change:.2f}", flush=True)
        assert name == "opposite" or change > 0.02
        tensors[f"{name}.latents"] = latents
        cases[name] = {"prompt": RED, **SMALL, "lora": [{"file": f, "weight": w} for f, w in list_]}
    save(FIXTURES / "pipelines-lora.safetensors", tensors, cases=cases)


if __name__ == "__main__":
    sys.exit(main())
