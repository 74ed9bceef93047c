"""AnimateDiffSparseControlNetPipeline on fixtures/tiny-a → fixtures/tiny-a-sparse/ and fixtures/pipelines-sparse.safetensors.

SparseCtrl's RGB kind: some frames are given as pictures, as `<case>.in.control` u8 [n, H, W, 3] at the argument's `at`; the network
sees their latents and a mask. diffusers draws those latents from torch's unseeded generator; here they are the mean, and
`motionNorm` holds for the UNet's motion modules only. As pipelines.py otherwise.
"""

import torch
from diffusers import AnimateDiffSparseControlNetPipeline
from diffusers.models import SparseControlNetModel
from diffusers.pipelines.animatediff import pipeline_animatediff_sparsectrl as module

from clips import clip, images
from common import FIXTURES, randomise, relative, save
from pipelines import BLUE, RED, SMALL
from runner import Cases, load, run

FOLDER = FIXTURES / "tiny-a-sparse"
CASES = {
    "first": dict(prompt=RED, sparse=dict(at=[0], scale=1), **SMALL),
    "two-guided": dict(prompt=BLUE, sparse=dict(at=[1, 4], scale=0.7), guidance=1.5, negative="bad", seed=1, **SMALL),
}


def build() -> None:
    config = dict(
        in_channels=4, conditioning_channels=4, block_out_channels=(16, 40), layers_per_block=1, cross_attention_dim=32, attention_head_dim=2, norm_num_groups=4,
        down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"), motion_num_attention_heads=4, motion_max_seq_length=16, use_simplified_condition_embedding=True,
        transformer_layers_per_block=(1, 1), temporal_transformer_layers_per_block=(1, 1),
    )
    net = randomise(SparseControlNetModel(**config), 700)
    for name, p in net.named_parameters():
        if name.startswith(("controlnet_down_blocks", "controlnet_mid_block")):
            p.mul_(0.25)
    net.half().save_pretrained(FOLDER)


def main() -> None:
    build()
    module.retrieve_latents = lambda output, *_, **__: output.latent_dist.mode()
    cases = Cases()
    pipes = [load("tiny-a", AnimateDiffSparseControlNetPipeline, d, controlnet=SparseControlNetModel.from_pretrained(FOLDER, torch_dtype=torch.float32)) for d in (torch.float32, torch.float64)]
    for i, (name, a) in enumerate(CASES.items()):
        at, scale = a["sparse"]["at"], float(a["sparse"]["scale"])
        pictures = clip(len(at), a["width"], a["height"], i)
        more = lambda _: dict(conditioning_frames=images(pictures), controlnet_frame_indices=at, controlnet_conditioning_scale=scale)
        latents = cases.add(f"sparse-{name}", *pipes, {"model": "tiny-a", "sparsectrl": FOLDER.name, **a}, more)
        cases.tensors[f"sparse-{name}.in.control"] = pictures
        without = run(pipes[0], a, more(0) | {"controlnet_conditioning_scale": 0.0})[0]
        other = run(pipes[0], a, more(0) | {"conditioning_frames": images(pictures.flip(2))})[0]
        print(f"   changes the latents by {relative(without, latents):.2f}; other pictures by {relative(other, latents):.3f}")
        assert relative(without, latents) > 0.05 and relative(other, latents) > 0.01
    save(FIXTURES / "pipelines-sparse.safetensors", cases.tensors, cases=cases.cases)


if __name__ == "__main__":
    main()
