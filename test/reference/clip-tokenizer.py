"""Token ids of transformers' slow CLIPTokenizer (without ftfy) over difficult strings, for
test/models/clip/tokenizer.test.ts. Usage: clip-tokenizer.py <folder with the full vocab.json and merges.txt, made by
clip-vocabulary.py>. Writes fixtures/clip-tokenizer.json.
"""

import json
import pathlib
import random
import sys
import tempfile

import transformers
from transformers import CLIPTokenizer

HERE = pathlib.Path(__file__).parent
FULL = pathlib.Path(sys.argv[1])

STRINGS = [
    "", " ", "\n", "\t \r\n", "a", "A", "a photo of a cat", "A Photo  Of\ta\nCAT", "cat,dog;bird.", "...", "!!!", "?!?!",
    "it's", "IT'S", "don't you're we've I'm they'll she'd", "'s 't 're 've 'm 'll 'd", "''s", "rock'n'roll", "o'clock",
    "'S'T'RE", "'sss", "'really", "l'amour", "won\u2019t", "'\u017f don'\u017f", "\u017f", "\u212a \u212b",
    "1 12 123 1234567890", "3.14159", "1e-5", "1920x1080", "4k 8K", "\u00bd \u00b2 \u2460 \u2167 \u0663", "100%", "$5",
    "\u00e9", "e\u0301", "caf\u00e9 cafe\u0301", "na\u00efve \u00dcber stra\u00dfe STRASSE", "\u0130stanbul I\u0307 \u0131", "\ufb01 \ufb03 \ufb05",
    "\u0391\u03a3", "\u039f\u0394\u039f\u03a3 \u039f\u0394\u039f\u03a3.", "\u03a3\u03a3 \u03a3", "\u01c5 \u01f2", "\u1e9e", "\u0345 a\u0345 \u03b1\u0345 x\u0345y",
    "\u65e5\u672c\u8a9e", "\u4f60\u597d\uff0c\u4e16\u754c", "\u6771\u4eac tower", "a\u732bb", "\uf900 \U0002f800", "\U00020000\U0002a700", "\u3042\u3044\u3046 \u30ab\u30bf\u30ab\u30ca", "\u3042\u732b\u3044", "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab", "\u3007 \u3400\u4dbf",
    "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\U0001f1e9\U0001f1ea", "hi\U0001f600there", "1\ufe0f\u20e3", "\U0001f3f4\U000e0067\U000e0062\U000e007f",
    "zero\u200bwidth", "zero\u200cwidth", "zero\u200dwidth", "\ufeffbom", "soft\u00adhyphen", "rtl \u202eabc\u202c", "nbsp\u00a0here", "thin\u2009space \u3000ideographic", "line\u2028sep para\u2029sep", "a\u2028", "\u2028'S",
    "nul\x00byte", "bell\x07", "esc\x1b[0m", "del\x7f", "nel\x85next", "vt\x0bff\x0c", "fs\x1cgs\x1d", "\ufffd", "\ue000 private", "\U000f0000", "\ud800", "a\udc00b", "\u0378", "\uffff",
    "<|startoftext|>", "<|endoftext|>", "a <|endoftext|> b", "a<|endoftext|>b", "<|startoftext|>a<|endoftext|>", "<|STARTOFTEXT|>", "<|EndOfText|> x", "<|\u017ftartoftext|>", "<|endoftext", "< |endoftext|>", "<|endoftext|><|endoftext|>", "\u039f\u03a3<|endoftext|>\u03a3", "<|endoftext|>'s", " <|startoftext|>  hi ",
    "hello_world", "snake_case_word", "kebab-case", "C++", "a+b=c", "foo(bar)", "[tag]", "((masterpiece)), (best quality:1.2)", "<lora:x:0.8>", "a:b", "@user #tag", "http://example.com/a?b=c&d=e", "e-mail@example.org", "C:\\path\\to", "a/b", "&amp; &lt;", "\u201cquoted\u201d \u2018single\u2019", "\u2026 \u2014 \u2013", "\u20ac\u00a3\u00a5", "\u2211\u221a\u221e\u2260", "\u2190\u2191", "\u2588\u2591",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u05e9\u05dc\u05d5\u05dd", "\u0928\u092e\u0938\u094d\u0924\u0947", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u10d2\u10d0\u10db\u10d0\u10e0\u10ef\u10dd\u10d1\u10d0", "\u1c90\u1c91", "\u13a0\ua8b0 \uab70", "Vi\u1ec7t Nam", "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033dalgo", "\u0344 \u0958 \u2126",
    "supercalifragilisticexpialidocious", "antidisestablishmentarianism", "pneumonoultramicroscopicsilicovolcanoconiosis", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "xyzzyqwzx", "abcdefghijklmnopqrstuvwxyz", "the the the", "th e", "in the in", "ing", "er", "erer",
    "Self-portrait oil painting, a beautiful cyborg with golden hair, 8k", "A cinematic shot of a corgi running on the beach at sunset, highly detailed, trending on artstation",
    "masterpiece, best quality, 1girl, solo, cherry blossoms, hanami, pink flower, white flower, spring season, wisteria, petals, flower, plum blossoms, outdoors, falling petals, white hair, black eyes",
    "an astronaut riding a horse " * 20, "word " * 74, "word " * 75, "word " * 76, "word " * 77, "!" * 200, "\U0001f600" * 40, "\u732b" * 60, "a very long prompt about " + "mountains and rivers and " * 12 + "END",
    "good quality, cloud", "bad quality, worse quality", "boat sails  on\u00a0the sea \u2014 it\u2019s windy!", "Caf\u00c9 m\u00fcnchen \u00c5ngstr\u00f6m", "MiXeD cAsE WoRdS", "tab\tseparated\tvalues", "trailing space ", " leading space", "multiple\n\n\nlines", "mid\rreturn",
]
rng = random.Random(0)
POOL = "aAbBeEnNsStT'  019.,!<|>\u00e9\u00df\u0130\u03a3\u0416\u4e2d\u732b\u3042\U0001f600\u200d\u00ad\u0301\u0345\u2028\u00a0\t\x07_-"
STRINGS += ["".join(rng.choice(POOL) for _ in range(rng.randint(1, 40))) for _ in range(60)]


def encode(tokenizer, text, **kwargs):
    return tokenizer(text, padding="max_length", max_length=77, truncation=True, **kwargs)


full = CLIPTokenizer(str(FULL / "vocab.json"), str(FULL / "merges.txt"), model_max_length=77)
assert full.fix_text is None, "remove ftfy: the fixture is of the tokenizer without it"

# A small vocabulary: the alphabet and the first merges.
ids = json.loads((FULL / "vocab.json").read_text(encoding="utf-8"))
order = sorted(ids, key=ids.get)
KEPT = 300
small_tokens = [*order[: 512 + KEPT], "<|startoftext|>", "<|endoftext|>"]
small_merges = "\n".join((FULL / "merges.txt").read_text(encoding="utf-8").split("\n")[: KEPT + 1]) + "\n"
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(small_tokens)}), encoding="utf-8")
(folder / "merges.txt").write_text(small_merges, encoding="utf-8")


def load(**files):
    for name in ("tokenizer_config", "special_tokens_map"):
        path = folder / f"{name}.json"
        path.unlink(missing_ok=True)
        if name in files:
            path.write_text(json.dumps(files[name]), encoding="utf-8")
    return CLIPTokenizer.from_pretrained(folder)


token = lambda content, **flags: {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False, **flags}
FOLDERS = [
    {"tokenizer_config": {"model_max_length": 77, "do_lower_case": True, "pad_token": "<|endoftext|>"}},
    {"tokenizer_config": {"model_max_length": 20}, "special_tokens_map": {"pad_token": "!", "bos_token": token("<|startoftext|>"), "eos_token": token("<|endoftext|>"), "unk_token": token("<|endoftext|>")}},
    {
        "tokenizer_config": {
            "pad_token": "!",
            "added_tokens_decoder": {
                "0": token("!", special=True, normalized=False),
                "812": token("<|startoftext|>", special=True),
                "813": token("<|endoftext|>", special=True),
                "814": token("<style>", lstrip=True, rstrip=True, special=False),
                "815": token("<solo>", single_word=True, special=True, normalized=False),
                "816": token("<style>-1", special=False),
            },
        },
        "special_tokens_map": {"pad_token": "<|endoftext|>"},
    },
    {"tokenizer_config": {"additional_special_tokens": ["<new>"], "pad_token": "<pad>"}},
]
TEXTS = ["", "hi! there", "a <style> b", "a<style>b <style>-1", "x <solo> y", "x<solo> y", "x <solo>y <solo>", "<new> thing<pad>", "the cat sat on the mat! and in the hat and on the other one", "<|endoftext|> z !"]
folders = []
for files in FOLDERS:
    tokenizer = load(**files)
    limit = min(tokenizer.model_max_length, 77)
    folders.append(
        {
            **files,
            "maxLength": limit,
            "pad": tokenizer.pad_token_id,
            "texts": [
                {"text": t, **{k: v for k, v in tokenizer(t, padding="max_length", max_length=limit, truncation=True).items()}}
                for t in TEXTS
            ],
        }
    )

small = load(**FOLDERS[0])


def cut(tokenizer, text):
    """What does not fit 77 ids, as text: the words a pipeline warns about."""
    everything = tokenizer(text)["input_ids"]
    return tokenizer.convert_tokens_to_string([tokenizer._convert_id_to_token(i) for i in everything[76:-1]]) if len(everything) > 77 else None


json.dump(
    {
        "transformers": transformers.__version__,
        "strings": STRINGS,
        "full": [{"tokens": full.tokenize(s)[:20], "ids": full(s)["input_ids"][1:-1], "cut": cut(full, s)} for s in STRINGS],
        "padded": {i: encode(full, STRINGS[i])["input_ids"] for i in (0, 6, STRINGS.index("word " * 75), STRINGS.index("word " * 76))},
        "smallVocab": small_tokens,
        "smallMerges": small_merges,
        "small": [small(s)["input_ids"][1:-1] for s in STRINGS],
        "folders": folders,
    },
    open(HERE / "fixtures" / "clip-tokenizer.json", "w"),
    separators=(",", ":"),
)
print(len(STRINGS), "strings")
