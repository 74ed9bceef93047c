"""Softmax weights of a word in the UNet's cross-attentions on fixtures/tiny-a → fixtures/attention-maps.safetensors.

After each step: the mean over heads and attn2 layers, lower resolutions enlarged by repetition, of the weights that the
word's tokens get together; under guidance of the conditional half. `<case>` f32 `[steps, frames, h, w]`.
"""

import torch

from common import FIXTURES, save
from pipelines import RED, SMALL
from runner import arguments, load

CASES = {
    "plain": dict(prompt=RED, word="circle", **SMALL),
    "guided": dict(prompt=RED, word="red", guidance=2, negative="bad", seed=3, motionNorm="frame", **SMALL),
}


class Watching:
    """Attention with its weights kept: `seen` has `[batch, heads, positions, tokens]` for each layer."""

    def __init__(self, seen: list):
        self.seen = seen

    def __call__(self, attn, x, encoder_hidden_states=None, attention_mask=None, **_):
        heads = lambda t: t.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        q, k, v = heads(attn.to_q(x)), heads(attn.to_k(encoder_hidden_states)), heads(attn.to_v(encoder_hidden_states))
        weights = (q @ k.transpose(-1, -2) * attn.scale).softmax(-1)
        self.seen.append(weights)
        return attn.to_out[0]((weights @ v).transpose(1, 2).flatten(2))


def main() -> None:
    from common import motion_norm

    tensors, kept = {}, {}
    for name, a in CASES.items():
        pipe, seen, maps = load("tiny-a"), [], []
        for layer, module in pipe.unet.named_modules():
            if layer.endswith("attn2") and "motion_modules" not in layer:
                module.set_processor(Watching(seen))
        ids = pipe.tokenizer(a["prompt"]).input_ids
        wanted = pipe.tokenizer(a["word"], add_special_tokens=False).input_ids
        at = next(i for i in range(len(ids)) if ids[i : i + len(wanted)] == wanted)
        h, w = a["height"] // pipe.vae_scale_factor, a["width"] // pipe.vae_scale_factor

        def step(_pipe, _i, _t, values):
            whole = torch.zeros(a["frames"], h, w)
            for weights in seen:
                word = weights[-a["frames"] :, :, :, at : at + len(wanted)].sum(-1).mean(1)
                k = next(k for k in range(8) if -(-h // 2**k) * -(-w // 2**k) == word.shape[1])
                small = word.unflatten(1, (-(-h // 2**k), -(-w // 2**k)))[:, None]
                whole += torch.nn.functional.interpolate(small, (h, w), mode="nearest")[:, 0] / len(seen)
            maps.append(whole)
            seen.clear()
            return {}

        with motion_norm(pipe.unet, a.get("motionNorm", "joint")), torch.no_grad():
            pipe(**arguments(pipe, a), output_type="latent", callback_on_step_end=step)
        tensors[name], kept[name] = torch.stack(maps), a
        print(f"{name}: {list(tensors[name].shape)}, {tensors[name].min():.4f} to {tensors[name].max():.4f}, deviation {tensors[name].std():.1e}")
    save(FIXTURES / "attention-maps.safetensors", tensors, cases=kept)


if __name__ == "__main__":
    main()
