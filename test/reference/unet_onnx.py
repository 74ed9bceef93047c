"""The narrow UNet of bench/unet.bench.ts as an ONNX graph without weights, for `kineograph bench --peers unet-narrow`.

python test/reference/unet_onnx.py  →  bench/peers/unet-narrow.onnx.gz      (wants the packages onnx and onnxscript besides)

The bench makes the weights up by name on both sides (as unet_bench.py does), so the file holds the graph alone: 56 million
parameters are its inputs, which the bench turns into initializers; onnxruntime then folds constants as ever. Names of
nodes and of intermediate values are shortened.
"""

import gzip
import pathlib
import tempfile

import onnx
import torch
from unet_bench import model, text, x


class Call(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.unet = model

    def forward(self, x, t, c):
        return self.unet(x, t, encoder_hidden_states=c, return_dict=False)[0]


with tempfile.TemporaryDirectory() as folder:
    path = f"{folder}/unet.onnx"
    torch.onnx.export(
        Call(), (x, torch.tensor([999]), text), path, input_names=["x", "t", "c"], output_names=["y"],
        opset_version=18, dynamo=False, export_params=False, do_constant_folding=False,
    )  # fmt: skip
    graph = onnx.load(path)
names = {v.name: v.name.removeprefix("unet.") for v in graph.graph.input} | {"y": "y", "": ""}
for v in graph.graph.input:
    v.name = names[v.name]
for i, node in enumerate(graph.graph.node):
    node.name = str(i)
    for values in (node.output, node.input):
        for j, name in enumerate(values):
            values[j] = names.setdefault(name, f"v{len(names)}")
del graph.graph.value_info[:]
target = pathlib.Path(__file__).parents[2] / "bench" / "peers" / "unet-narrow.onnx.gz"
target.write_bytes(gzip.compress(graph.SerializeToString(), 9, mtime=0))
print(target.stat().st_size, "bytes,", len(graph.graph.node), "nodes,", len(graph.graph.input), "inputs")
