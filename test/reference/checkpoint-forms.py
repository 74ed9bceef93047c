"""What else diffusers writes, as names: AnimateDiffPipeline's folder, a T2I-Adapter, LDM's running averages (EMA)
→ fixtures/names/forms.json.
"""

import json
import pathlib
import tempfile

import torch
from diffusers import T2IAdapter
from safetensors import safe_open

from common import FIXTURES
from runner import load


def listed(state: dict) -> list:
    return [[k, list(v.shape)] for k, v in state.items()]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        load("tiny-a").save_pretrained(root)
        files = {str(p.relative_to(root)): json.loads(p.read_text()) for p in root.rglob("*.json") if p.name in ("model_index.json", "config.json")}
        for config in files.values():
            config.pop("_name_or_path", None)
        weights = {}
        for path in root.rglob("*.safetensors"):
            with safe_open(path, "pt") as f:
                weights[str(path.relative_to(root))] = sorted(f.keys())
    with torch.device("meta"):
        adapters = {kind: listed(T2IAdapter(adapter_type=kind).state_dict()) for kind in ("full_adapter", "light_adapter")}
    ldm = json.loads((FIXTURES / "names" / "sd15.json").read_text())["unet"]
    # LitEma's buffers: the parameters' names without dots, and two counters.
    ema = [["model_ema." + name.removeprefix("model.").replace(".", ""), shape] for _, _, name, shape in ldm]
    ema += [["model_ema.decay", []], ["model_ema.num_updates", []]]
    (FIXTURES / "names" / "forms.json").write_text(
        json.dumps({"pipeline": {"files": files, "weights": weights}, "t2i": adapters, "ema": ema}, separators=(",", ":"))
    )
    print({k: len(v) for k, v in weights.items()}, {k: len(v) for k, v in adapters.items()}, len(ema))


if __name__ == "__main__":
    main()
