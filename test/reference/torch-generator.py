"""Numbers of torch's CPU generator, for test/tensor/torch-generator.test.ts.

Long draws are stored as every 97th value and a hash of all the bytes, so that a test can tell bit-identity without
megabytes of fixture. Writes fixtures/torch-generator.json.
"""

import base64
import hashlib
import json
import pathlib
import zlib

import torch

HERE = pathlib.Path(__file__).parent


def bits(x: torch.Tensor) -> list[int]:
    return [v & 0xFFFFFFFF for v in x.contiguous().view(torch.int32).flatten().tolist()]


def digest(x: torch.Tensor) -> str:
    return hashlib.sha256(x.contiguous().numpy().tobytes()).hexdigest()


def generator(seed: int) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


draws = []
for seed in (0, 1, 42, 1234, 2**31, 2**32 - 1, 2**32 + 7, 2**53 + 1, 2**64 - 1, -1, -5):
    for n in (0, 1, 5, 15, 16, 17, 20, 31, 32, 100, 1000):
        if n >= 100 and seed not in (0, 42):
            continue
        draws.append({"seed": str(seed), "n": n, "bits": bits(torch.randn(n, generator=generator(seed)))})

long = []
for seed, n in ((0, 262144), (42, 262144), (7, 16 * 4 * 64 * 64 + 5), (123, 1 << 20)):
    x = torch.randn(n, generator=generator(seed))
    long.append({"seed": seed, "n": n, "sha256": digest(x), "every97": bits(x[::97][:2000])})

g = generator(3)
sequence = [
    {"op": "randperm", "n": 4, "values": torch.randperm(4, generator=g).tolist()},
    {"op": "randn", "n": 4, "bits": bits(torch.randn(4, generator=g))},
    {"op": "randn", "n": 3, "bits": bits(torch.randn(3, generator=g))},
    {"op": "randn", "n": 16, "bits": bits(torch.randn(16, generator=g))},
    {"op": "randn", "n": 2, "bits": bits(torch.randn(2, generator=g))},
    {"op": "rand", "n": 7, "bits": bits(torch.rand(7, generator=g))},
    {"op": "randperm", "n": 1000, "values": torch.randperm(1000, generator=g).tolist()},
    {"op": "randn", "n": 1, "bits": bits(torch.randn(1, generator=g))},
]
state = g.get_state().numpy().tobytes()  # one double normal is cached here
after = torch.randn(40, generator=g)
after_one = torch.randn(1, generator=g)

fresh = generator(11).get_state().numpy().tobytes()
full = generator(11)
torch.rand(624, generator=full)  # the batch is used up to its last word

json.dump(
    {
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "draws": draws,
        "long": long,
        "sequence": sequence,
        "state": base64.b64encode(zlib.compress(state, 9)).decode(),
        "after": bits(after),
        "afterOne": bits(after_one),
        "freshState": hashlib.sha256(fresh).hexdigest(),
        "fullState": hashlib.sha256(full.get_state().numpy().tobytes()).hexdigest(),
    },
    open(HERE / "fixtures" / "torch-generator.json", "w"),
    separators=(",", ":"),
)
