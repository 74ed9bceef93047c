"""Writes a small random model that no fixture or test knows, to be compared by compare.py: `make_fresh_model.py <folder> [seed]`.

Three levels of two layers, other widths and head counts than the fixtures', a VAE of two levels (latents are half the
picture's size), text encoder with its own tokenizer. Frames of 40 × 56 pixels give latents of 20 × 28.
"""

import argparse
import pathlib

from models import Tiny, build

FRESH = dict(
    unet=dict(
        sample_size=20, block_out_channels=(16, 32, 48), layers_per_block=2, cross_attention_dim=40, attention_head_dim=4, norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    ),
    motion=dict(block_out_channels=(16, 32, 48), motion_layers_per_block=2, motion_num_attention_heads=4, motion_norm_num_groups=8, motion_max_seq_length=32),
    vae=dict(block_out_channels=(16, 32), layers_per_block=2, norm_num_groups=8, sample_size=40, latent_channels=4, scaling_factor=0.18215),
    text=dict(hidden_size=40, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=77, hidden_act="quick_gelu"),
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("seed", type=int, nargs="?", default=77)
    args = parser.parse_args()
    build(args.folder, Tiny(seed=args.seed, merges=40, pad="<|endoftext|>", **FRESH))
