"""Fixtures for test/io/torch-file.test.ts: files that torch.save writes, and the same tensors as safetensors.
Writes fixtures/torch/.
"""

import collections
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).parent / "fixtures" / "torch"


def expected(name, tensors):
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, OUT / f"{name}.safetensors")


def main():
    OUT.mkdir(exist_ok=True)
    g = torch.Generator().manual_seed(2)
    base = torch.randn(5, 7, generator=g)

    types = {}
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2):
        types[str(dtype)[6:]] = base.to(dtype)
    for dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool):
        types[str(dtype)[6:]] = (base * 3).abs().to(torch.int64).to(dtype)
    torch.save(types, OUT / "types.pt")
    expected("types", types)

    big = torch.randn(4, 6, 3, generator=g)
    views = collections.OrderedDict(
        whole=big,
        transposed=big.permute(2, 0, 1),
        slice=big[1:3, ::2],
        column=big[:, 2, 1],
        expanded=big[0, 0, :1].expand(4, 5),
        scalar=big[1, 1, 1],
        empty=torch.zeros(0, 3),
        parameter=torch.nn.Parameter(big[0].clone()),
        last=big.flatten()[-5:],
    )
    for protocol in (2, 3, 4, 5):
        torch.save(views, OUT / f"views-{protocol}.pt", pickle_protocol=protocol)
    expected("views", views)

    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Conv2d(2, 2, 3))
    state = module.state_dict()
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3, "lr": 1e-4, "name": "ü",
                "optimizer_states": [{"step": torch.ones(1)}], "flags": (True, None, b"x", -(2**70), {"a": [1, 2]})},
               OUT / "training.ckpt")
    torch.save({"image_proj": {"proj.weight": base}, "ip_adapter": {"1.to_k_ip.weight": base.t()}}, OUT / "nested.bin")
    expected("training", state)
    wrapped = {"controlnet_cond_embedding.weight": base, "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.pos_encoder.pe": base,
               "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.to_q.weight": base}
    torch.save({"epoch": 1, "controlnet": {f"module.{k}": v for k, v in wrapped.items()}, "animatediff_config": {"unet_use_temporal_attention": False}}, OUT / "sparsectrl-wrapped.ckpt")
    torch.save(state, OUT / "legacy.pt", _use_new_zipfile_serialization=False)


main()
