"""Fixtures for test/io/safetensors.test.ts, written by the safetensors library itself: every type, with the values that
torch (floats) or exact arithmetic (integers) gives in f32 and f16. Writes fixtures/stored-types.safetensors.
"""

import struct
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).parent / "fixtures"


def main():
    g = torch.Generator().manual_seed(1)
    edge = torch.tensor([0.0, -0.0, 1.0, -1.0, 65504.0, 65519.9, 65520.0, -65520.0, 6e-8, 2.9e-8, 3e-8, -6.1e-5, 6.0975e-5,
                         1e-30, 1e30, float("inf"), -float("inf"), float("nan"), 1.00048828125, 1.00146484375, 1.0004883])
    noise = torch.randn(200, generator=g, dtype=torch.float64) * torch.exp(torch.randn(200, generator=g, dtype=torch.float64) * 6)
    floats = torch.cat([edge.double(), noise])
    tensors = {}
    for name, dtype in [("F64", torch.float64), ("F32", torch.float32), ("F16", torch.float16), ("BF16", torch.bfloat16)]:
        tensors[name] = floats.to(dtype)
    tensors["F8_E4M3"] = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn)
    tensors["F8_E5M2"] = torch.arange(256, dtype=torch.uint8).view(torch.float8_e5m2)
    for name, dtype in [("I64", torch.int64), ("I32", torch.int32), ("I16", torch.int16), ("I8", torch.int8),
                        ("U64", torch.uint64), ("U32", torch.uint32), ("U16", torch.uint16), ("U8", torch.uint8)]:
        info = torch.iinfo(dtype)
        values = [0, 1, 2, 77, info.max // 3, info.max - 1, info.max] + ([-1, info.min, info.min // 3] if info.min < 0 else [])
        tensors[name] = torch.tensor(values, dtype=dtype)
    tensors["BOOL"] = torch.tensor([True, False, True])
    both = {}
    for name, t in tensors.items():
        both[name] = t
        if name in ("F64",) or t.dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2):
            both[f"{name}.f32"] = t.float()
            # f64 to f16 in one rounding, as Python's struct does it
            if name == "F64":
                def half(v):
                    try:
                        return struct.unpack("<e", struct.pack("<e", v))[0]
                    except OverflowError:
                        return float("inf") if v > 0 else -float("inf")
                both[f"{name}.f16"] = torch.tensor([half(v) for v in t.tolist()], dtype=torch.float16)
            else:
                both[f"{name}.f16"] = t.float().half()
        else:
            both[f"{name}.f32"] = torch.tensor([float(int(v)) for v in t.tolist()], dtype=torch.float64).float()
            both[f"{name}.f16"] = both[f"{name}.f32"].half()
    both["scalar"] = torch.tensor(3.5)
    both["empty"] = torch.zeros(0, 4)
    both["ünïcode \"name\"\n"] = torch.ones(2, 3)
    save_file({k: v.clone() for k, v in both.items()}, OUT / "stored-types.safetensors", metadata={"format": "pt", "note": "ü"})


main()
