"""AnimateDiffSparseControlNetPipeline on fixtures/tiny-a → tiny-a-sparse/, tiny-a-sparse-scribble/, pipelines-sparse.safetensors, names/sparsectrl.json.

Some frames are given as pictures, as `<case>.in.control` u8 [n, H, W, 3] at the argument's `at`. SparseCtrl's RGB kind sees their
latents and a mask. diffusers draws those latents from torch's unseeded generator; here they are the mean. `motionNorm`
holds for both networks' motion modules. The scribble kind sees pixels; its folder holds what it has not in common with the RGB kind's:
the condition's convolutions and a longer positional encoding. Windows are windows.py's. As pipelines.py otherwise.

names/sparsectrl.json: names and shapes of AnimateDiff's v3_sd15_sparsectrl_rgb.ckpt and …_scribble.ckpt: diffusers' at the published
sizes, renamed against the table of its scripts/convert_animatediff_sparsectrl_to_diffusers.py.
"""

import json

import torch
from diffusers import AnimateDiffSparseControlNetPipeline
from diffusers.models import SparseControlNetModel
from diffusers.pipelines.animatediff import pipeline_animatediff_sparsectrl as module
from safetensors.torch import save_file

from clips import clip, images
from common import FIXTURES, motion_norm, randomise, relative, save
from pipelines import BLUE, RED, SMALL
from runner import Cases, load, run
from windows import within

RGB, SCRIBBLE = FIXTURES / "tiny-a-sparse", FIXTURES / "tiny-a-sparse-scribble"
TINY = dict(frames=7, width=24, height=16)
CASES = {
    "first": dict(prompt=RED, sparse=dict(at=[0], scale=1), **SMALL),
    "two-guided": dict(prompt=BLUE, sparse=dict(at=[1, 4], scale=0.7), guidance=1.5, negative="bad", seed=1, **SMALL),
    "window": dict(prompt=RED, sparse=dict(at=[0, 5], scale=1), long="window", context=4, stride=2, guidance=1.5, seed=2, steps=3, **TINY),
    "scribble": dict(prompt=RED, kind="scribble", sparse=dict(at=[2], scale=1), seed=3, motionNorm="frame", **TINY),
    "scribble-guided": dict(prompt=BLUE, kind="scribble", sparse=dict(at=[5, 0, 3], scale=0.8), guidance=2, seed=4, **TINY),
    "scribble-long": dict(prompt=RED, kind="scribble", sparse=dict(at=[19, 8], scale=1), seed=5, steps=3, **TINY | dict(frames=20)),
}
CONFIG = dict(
    in_channels=4, conditioning_channels=4, block_out_channels=(16, 40), layers_per_block=1, cross_attention_dim=32, attention_head_dim=2, norm_num_groups=4,
    down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"), motion_num_attention_heads=4, motion_max_seq_length=16, use_simplified_condition_embedding=True,
    transformer_layers_per_block=(1, 1), temporal_transformer_layers_per_block=(1, 1),
)
PIXELS = dict(conditioning_channels=3, use_simplified_condition_embedding=False, conditioning_embedding_out_channels=(4, 6, 8), motion_max_seq_length=24)
OWN = ("controlnet_cond_embedding.", ".pe")  # of the scribble kind


def rgb() -> SparseControlNetModel:
    net = randomise(SparseControlNetModel(**CONFIG), 700)
    for name, p in net.named_parameters():
        if name.startswith(("controlnet_down_blocks", "controlnet_mid_block")):
            p.mul_(0.25)
    return net


def scribble() -> SparseControlNetModel:
    net = randomise(SparseControlNetModel(**CONFIG | PIXELS), 701)
    for name, p in net.named_parameters():
        if name.startswith("controlnet_cond_embedding.") and name.endswith("weight"):
            p.mul_(2)  # else little is left of pixels from 0 to 1 after six convolutions
    shared = {k: v for k, v in rgb().state_dict().items() if not any(part in k for part in OWN)}
    net.load_state_dict(shared, strict=False)
    return net


def build() -> None:
    rgb().half().save_pretrained(RGB)
    net = scribble().half()
    SCRIBBLE.mkdir(exist_ok=True)
    net.save_config(SCRIBBLE)
    own = {k: v.contiguous() for k, v in net.state_dict().items() if any(part in k for part in OWN)}
    save_file(own, SCRIBBLE / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})


RENAMED = [(".attention_blocks.0.pos_encoder", ".pos_embed"), (".attention_blocks.0", ".attn1"), (".ff_norm", ".norm3"), (".norms.0", ".norm1"), (".temporal_transformer", "")]


def original(name: str) -> str:
    """AnimateDiff's name of diffusers'."""
    if ".motion_modules." not in name:
        return name
    head, rest = name.split(".motion_modules.")
    index, rest = rest.split(".", 1)
    for theirs, ours in reversed(RENAMED[:-1]):
        rest = f".{rest}".replace(f"{ours}.", f"{theirs}.", 1)[1:]
    return f"{head}.motion_modules.{index}.temporal_transformer.{rest}"


def names() -> None:
    lists = {}
    for kind, config in (("rgb", {}), ("scribble", dict(conditioning_channels=3, use_simplified_condition_embedding=False))):
        with torch.device("meta"):
            state = SparseControlNetModel(cross_attention_dim=768, **config).state_dict()
        table = {original(k): k for k in state}
        for theirs, ours in table.items():  # forwards by diffusers' own replacements
            for a, b in RENAMED:
                theirs = theirs.replace(a, b)
            assert theirs == ours, (theirs, ours)
        lists[kind] = [[k, list(state[table[k]].shape)] for k in table]
    shared = [e for e in lists["rgb"] if not e[0].startswith(OWN[0])]
    assert shared == [e for e in lists["scribble"] if not e[0].startswith(OWN[0])]
    out = {"shared": shared} | {kind: [e for e in list_ if e[0].startswith(OWN[0])] for kind, list_ in lists.items()}
    (FIXTURES / "names" / "sparsectrl.json").write_text(json.dumps(out, separators=(",", ":")))


def main() -> None:
    build()
    names()
    module.retrieve_latents = lambda output, *_, **__: output.latent_dist.mode()
    cases = Cases()
    both = {kind: [load("tiny-a", AnimateDiffSparseControlNetPipeline, d, controlnet=net()) for d in (torch.float32, torch.float64)] for kind, net in (("rgb", rgb), ("scribble", scribble))}
    for i, (name, a) in enumerate(CASES.items()):
        pipes = [within(p, a, lambda p, a=a: motion_norm(p.controlnet, a.get("motionNorm", "joint"))) for p in both[a.get("kind", "rgb")]]
        at, scale = a["sparse"]["at"], float(a["sparse"]["scale"])
        pictures = clip(len(at), a["width"], a["height"], i)
        more = lambda _: dict(conditioning_frames=images(pictures), controlnet_frame_indices=at, controlnet_conditioning_scale=scale)
        folder = SCRIBBLE.name if a.get("kind") == "scribble" else RGB.name
        latents = cases.add(f"sparse-{name}", *pipes, {"model": "tiny-a", "sparsectrl": folder, **a}, more)
        cases.tensors[f"sparse-{name}.in.control"] = pictures
        without = run(pipes[0], a, more(0) | {"controlnet_conditioning_scale": 0.0})[0]
        other = run(pipes[0], a, more(0) | {"conditioning_frames": images(pictures.flip(2))})[0]
        print(f"   changes the latents by {relative(without, latents):.2f}; other pictures by {relative(other, latents):.3f}")
        assert relative(without, latents) > 0.05 and relative(other, latents) > 0.01
    save(FIXTURES / "pipelines-sparse.safetensors", cases.tensors, cases=cases.cases)


if __name__ == "__main__":
    main()
