"""Prompts with markup, longer than the text encoder, and with textual-inversion embeddings, on fixtures/tiny-a and tiny-b
→ fixtures/prompts.safetensors and fixtures/embeddings/.

`<case>.ids` i32 and `<case>.weights` f32 `[chunks, tokens]`, `<case>.states` f32 `[1, chunks·tokens, d]`; the metadata's
"cases" holds the arguments in Kineograph's names and the relative L2 distance of the states from an f64 run.

Marked-up prompts follow stable-diffusion-webui's rules, written down here from its documentation and behaviour, on
transformers' tokenizer and text encoder. Plain prompts are diffusers' own `encode_prompt`, embeddings its own
`load_textual_inversion`.
"""

import re

import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file

from common import FIXTURES, check, in_f64, randn, relative, save

EMBEDDINGS = FIXTURES / "embeddings"
LONG = "a red circle moving slowly to the left and a small blue star moving fast over the water at night "
MARKUP = {
    "weight": "a (red:1.3) circle",
    "nested": "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
    "less": "a [[red]] circle and a ((big)) star",
    "unclosed": "a (red circle [moving",
    "stray": "a red) circle] at 3:15",
    "escapes": r"a \(red\) \[circle\] \\ star (blue \(big\):1.2)",
    "negative": "a (red:-0.5) circle",
    "spaces": "a (red circle : 0.8 ) star",
    "break": "a red circle BREAK (blue:1.2) star",
    "long": LONG * 3,
    "long-weighted": f"({LONG}:1.2), ({LONG * 2}:0.9)",
    "comma": "red " * 60 + ", small blue star, " + "moving " * 30,
    "comma-far": "red , " + "blue " * 80,
    "full": "red " * 75,
    "empty": "",
}

TINY_B = ("weight", "break", "long-weighted", "comma", "full")


def parse(text: str) -> list:
    """[text, weight] or None for BREAK."""
    stack, out = [], []
    for m in re.finditer(r"\\[()\[\]\\]|\\|\(|\[|:\s*([+-]?[.\d]+)\s*\)|\)|\]|[^\\()\[\]:]+|:", text):
        s, w = m.group(0), m.group(1)
        rounds = [i for i, (kind, _) in enumerate(stack) if kind == "("]
        squares = [i for i, (kind, _) in enumerate(stack) if kind == "["]
        if s[0] == "\\":
            out.append([s[1:] or "\\", 1.0])
        elif s in "([":
            stack.append((s, len(out)))
        elif (w is not None or s == ")") and rounds:
            start = stack.pop(rounds[-1])[1]
            for item in out[start:]:
                if item is not None:
                    item[1] *= float(w) if w is not None else 1.1
        elif s == "]" and squares:
            start = stack.pop(squares[-1])[1]
            for item in out[start:]:
                if item is not None:
                    item[1] *= 1 / 1.1
        else:
            for i, piece in enumerate(re.split(r"\s*\bBREAK\b\s*", s)):
                if i:
                    out.append(None)
                out.append([piece, 1.0])
    for kind in "([":
        for k, start in stack:
            if k == kind:
                for item in out[start:]:
                    if item is not None:
                        item[1] *= 1.1 if k == "(" else 1 / 1.1
    merged = []
    for item in out:
        if merged and item is not None and merged[-1] is not None and merged[-1][1] == item[1]:
            merged[-1][0] += item[0]
        else:
            merged.append(item and list(item))
    return merged


def rows(tok, text: str) -> tuple[list, list]:
    """Token ids and weights of each row of a marked-up prompt."""
    room = tok.model_max_length - 2
    comma = tok(",", add_special_tokens=False).input_ids
    comma = comma[0] if len(comma) == 1 else None
    done, row, last = [], [], None
    for item in parse(text):
        if item is None:
            done.append(row)
            row, last = [], None
            continue
        for token in tok(item[0], add_special_tokens=False).input_ids:
            if token == comma:
                if len(row) == room:
                    done.append(row)
                    row, last = [], None
                else:
                    last = len(row)
            elif len(row) == room:
                keep = last + 1 if last is not None and room - last <= 20 else room
                done.append(row[:keep])
                row, last = row[keep:], None
            row.append((token, item[1]))
    if row or not done:
        done.append(row)
    ids, weights = [], []
    for row in done:
        fill = room - len(row)
        ids.append([tok.bos_token_id] + [t for t, _ in row] + [tok.eos_token_id] + [tok.pad_token_id] * fill)
        weights.append([1.0] + [w for _, w in row] + [1.0] * (fill + 1))
    return ids, weights


def encode(text_encoder, tok, ids, weights, emphasis, skip):
    def states(ids):
        out = text_encoder(torch.tensor(ids), output_hidden_states=True)
        return out.last_hidden_state if skip == 0 else text_encoder.text_model.final_layer_norm(out.hidden_states[-(skip + 1)])

    z = states(ids)
    w = torch.tensor(weights, dtype=torch.float32).to(z.dtype).unsqueeze(-1)
    if emphasis == "blend":
        e = states([[tok.bos_token_id, tok.eos_token_id] + [tok.pad_token_id] * (tok.model_max_length - 2)])
        y = (z - e) * w + e
    else:
        y = z * w
        if emphasis == "mean":
            y = y * (z.mean(dim=(1, 2), keepdim=True) / y.mean(dim=(1, 2), keepdim=True))
    return y.reshape(1, -1, y.shape[-1])


def write_embeddings() -> None:
    """The four files people have: diffusers' training script, one and several vectors, A1111's training, and its safetensors."""
    EMBEDDINGS.mkdir(exist_ok=True)
    save_file({"<toy>": randn(70, 32)}, EMBEDDINGS / "toy.safetensors", metadata={"format": "pt"})
    torch.save({"<cat-toy>": randn(71, 3, 32)}, EMBEDDINGS / "learned_embeds.bin")
    vectors = torch.nn.Parameter(randn(72, 2, 32))
    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": vectors}, "name": "paint style", "step": 500,
                "sd_checkpoint": "abc", "sd_checkpoint_name": "model"}, EMBEDDINGS / "painted.pt")
    # The first textual inversion code kept a ParameterDict.
    torch.save({"string_to_token": {"*": torch.tensor(265)}, "string_to_param": torch.nn.ParameterDict({"*": vectors})}, EMBEDDINGS / "first.pt")
    save_file({"emb_params": randn(73, 2, 32)}, EMBEDDINGS / "bad-hands.safetensors")
    save_file({"clip_l": randn(74, 2, 32), "clip_g": randn(75, 2, 64)}, EMBEDDINGS / "sdxl.safetensors")


def main() -> None:
    tensors, cases = {}, {}

    def record(name, model, run, ids, weights, **arguments):
        pipe = pipes[model]
        out = check(name, run())
        pipe.text_encoder.double()
        with in_f64():
            exact = run()
        pipe.text_encoder.float()
        tensors.update({f"{name}.ids": torch.tensor(ids).int(), f"{name}.weights": torch.tensor(weights), f"{name}.states": out})
        cases[name] = {"model": model, **arguments, "f32_from_f64": relative(out, exact)}
        print(f"{name}: {list(out.shape)}, f32 from f64 {cases[name]['f32_from_f64']:.1e}")

    pipes = {m: StableDiffusionPipeline.from_pretrained(FIXTURES / m, torch_dtype=torch.float32, safety_checker=None) for m in ("tiny-a", "tiny-b")}
    for model, pipe in pipes.items():
        tok, text = pipe.tokenizer, pipe.text_encoder.eval()
        for key, prompt in MARKUP.items():
            if model == "tiny-b" and key not in TINY_B:
                continue
            ids, weights = rows(tok, prompt)
            weighted = any(w != 1 for row in weights for w in row)
            for emphasis in ("scale", "mean", "blend") if key in ("weight", "nested", "long-weighted", "break") else ("scale",):
                name = f"{model}-{key}" + ("" if emphasis == "scale" else f"-{emphasis}")
                record(name, model, lambda: encode(text, tok, ids, weights, emphasis, 0), ids, weights, prompt=prompt, emphasis=emphasis, weighted=weighted)
        ids, weights = rows(tok, MARKUP["weight"])
        if model == "tiny-b":
            continue
        record(f"{model}-skip", model, lambda: encode(text, tok, ids, weights, "scale", 1), ids, weights, prompt=MARKUP["weight"], emphasis="scale", clipSkip=1)
        for key in ("weight", "break", "long", "comma"):
            ids = tok(MARKUP[key], padding="max_length", truncation=True, max_length=tok.model_max_length).input_ids
            run = lambda: pipe.encode_prompt(MARKUP[key], "cpu", 1, False)[0]
            record(f"{model}-plain-{key}", model, run, [ids], [[1.0] * len(ids)], prompt=MARKUP[key], emphasis="scale", plainPrompt=True)

    write_embeddings()
    pipe = pipes["tiny-a"]
    pipe.load_textual_inversion(EMBEDDINGS / "toy.safetensors")
    pipe.load_textual_inversion(EMBEDDINGS / "learned_embeds.bin")
    pipe.load_textual_inversion(EMBEDDINGS / "painted.pt", token="painted")
    pipe.load_textual_inversion(EMBEDDINGS / "bad-hands.safetensors", token="bad-hands")
    for key, prompt in {
        "one": "a red <toy> moving",
        "several": "a <cat-toy> over the water",
        "painted": "a star, painted",
        "all": "a <toy>, <cat-toy>, painted bad-hands circle",
        "cut": "red " * 73 + "<cat-toy> star",
    }.items():
        full = pipe.maybe_convert_prompt(prompt, pipe.tokenizer)
        ids = pipe.tokenizer(full, padding="max_length", truncation=True, max_length=77).input_ids
        first = 0  # ids of added tokens stand for vectors
        ids = [first if i >= 574 or i not in pipe.tokenizer.decoder else i for i in ids]
        record(f"embedding-{key}", "tiny-a", lambda: pipe.encode_prompt(prompt, "cpu", 1, False)[0], [ids], [[1.0] * 77],
               prompt=prompt, emphasis="scale", plainPrompt=True, embeddings=True)
    save(FIXTURES / "prompts.safetensors", tensors, cases=cases)


if __name__ == "__main__":
    main()
