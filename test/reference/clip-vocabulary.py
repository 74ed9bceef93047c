"""Makes src/models/clip/openai-merges.ts out of OpenAI's bpe_simple_vocab_16e6.txt.gz (MIT; in the package
open_clip_torch, or openai/CLIP). Usage: clip-vocabulary.py <bpe_simple_vocab_16e6.txt.gz> [<folder for vocab.json and
merges.txt>]

A merge is two token ids, and the vocabulary follows from the merges. Four planes of bytes (left low, left high, right
low, right high) are deflated and written as base64.
"""

import base64
import gzip
import json
import pathlib
import sys
import zlib

lines = gzip.open(sys.argv[1]).read().decode().split("\n")[1 : 49152 - 256 - 2 + 1]
printable = [b for b in range(256) if 33 <= b < 127 or 161 <= b < 173 or 174 <= b]
alphabet = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
tokens = alphabet + [c + "</w>" for c in alphabet] + ["".join(line.split()) for line in lines]
ids = {token: i for i, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
assert len(ids) == 49408

if len(sys.argv) > 2:
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(lines) + "\n", encoding="utf-8")

left, right = zip(*([ids[t] for t in line.split()] for line in lines))
planes = b"".join(bytes(v >> s & 255 for v in side) for side in (left, right) for s in (0, 8))
deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
data = base64.b64encode(deflate.compress(planes) + deflate.flush()).decode()
out = pathlib.Path(__file__).parents[2] / "src" / "models" / "clip" / "openai-merges.ts"
out.write_text(
    f"""/**
 * The {len(lines):,} merges of OpenAI's CLIP as pairs of token ids, deflated, in base64 (test/reference/clip-vocabulary.py
 * made this file). From openai/CLIP's bpe_simple_vocab_16e6.txt: Copyright (c) 2021 OpenAI, MIT licence, whose
 * permission notice is that of this package's LICENSE.
 */
export const MERGES = {len(lines)};
export const DEFLATED =
  "{data}";
"""
)
