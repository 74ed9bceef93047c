"""Every building block of the networks by itself, from diffusers and transformers → fixtures/blocks.safetensors.

Tensors: `<case>.weights.<state-dict name>`, `<case>.in.<name>`, `<case>.out` (and `.out.<n>` for a block's further outputs,
the skip connections) in PyTorch's layouts. The metadata's "cases" holds the arguments of each block and the relative L2
distance of the f32 run from an f64 run. Weights and inputs are f16-representable; runs are f32.
"""

from diffusers.models.autoencoders.vae import UNetMidBlock2D
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.resnet import Downsample2D, ResnetBlock2D, Upsample2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets import unet_motion_model as motion
from diffusers.models.unets.unet_2d_blocks import DownEncoderBlock2D, UpDecoderBlock2D
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPEncoderLayer
import torch

from common import FIXTURES, check, motion_norm, randn, randomise, relative, save

tensors, cases = {}, {}
B, F, H, W = 1, 5, 6, 4  # clips, frames, height, width
C, D, TEXT, TEMB, GROUPS = 16, 24, 20, 32, 4
COMMON = dict(temb_channels=TEMB, resnet_eps=1e-5, resnet_groups=GROUPS)
MOTION = dict(temporal_num_attention_heads=2, temporal_max_seq_length=16)
CROSS = dict(num_attention_heads=2, cross_attention_dim=TEXT, transformer_layers_per_block=1)


def case(name: str, module, inputs: dict, run, norm: str = "joint", **config) -> None:
    """Randomises the module, runs it in f32 and f64, and keeps everything."""
    seed = len(cases) + 100
    randomise(module, seed)
    weights = {k: v.clone() for k, v in module.state_dict().items()}

    def outputs(x):
        with motion_norm(module, norm):
            y = run(module, x)
        first, rest = y if isinstance(y, tuple) else (y, ())
        return [first, *rest]

    found = outputs(inputs)
    module.double()
    exact = outputs({k: x.double() for k, x in inputs.items()})
    error = max(relative(a, b) for a, b in zip(found, exact))
    for key, x in weights.items():
        tensors[f"{name}.weights.{key}"] = x
    for key, x in inputs.items():
        tensors[f"{name}.in.{key}"] = x
    for i, x in enumerate(found):
        tensors[f"{name}.out" + (f".{i}" if i else "")] = check(name, x)
    cases[name] = {"class": type(module).__name__, **config, "f32_from_f64": error}
    print(f"{name}: {list(found[0].shape)} std {found[0].std():.3f}, f32 from f64 {error:.1e}")


def frames(i: int, channels: int, h: int = H, w: int = W) -> torch.Tensor:
    return randn(i, B * F, channels, h, w)


def temb(i: int) -> torch.Tensor:
    return randn(i, 1, TEMB).repeat(B * F, 1)


def text(i: int) -> torch.Tensor:
    return randn(i, 1, 7, TEXT).repeat(B * F, 1, 1)


for name, cin, cout, eps in [("resnet", C, C, 1e-5), ("resnet-shortcut", C, D, 1e-6)]:
    config = dict(in_channels=cin, out_channels=cout, temb_channels=TEMB, groups=GROUPS, eps=eps)
    case(name, ResnetBlock2D(**config), {"x": frames(1, cin), "temb": randn(2, B * F, TEMB)}, lambda m, x: m(x["x"], x["temb"]), **config)
config = dict(in_channels=C, out_channels=C, temb_channels=None, groups=GROUPS, eps=1e-6)
case("resnet-no-temb", ResnetBlock2D(**config), {"x": frames(3, C)}, lambda m, x: m(x["x"], None), **config)

for name, linear, layers in [("transformer-conv", False, 1), ("transformer-linear", True, 2)]:
    config = dict(num_attention_heads=2, attention_head_dim=D // 2, in_channels=D, num_layers=layers, cross_attention_dim=TEXT, norm_num_groups=GROUPS, use_linear_projection=linear)
    inputs = {"x": frames(4, D), "text": randn(5, B * F, 7, TEXT)}
    case(name, Transformer2DModel(**config), inputs, lambda m, x: m(x["x"], encoder_hidden_states=x["text"]).sample, **config)

for name, norm, layers in [("motion-joint", "joint", 1), ("motion-frame", "frame", 1), ("motion-two-layers", "joint", 2)]:
    config = dict(num_attention_heads=2, attention_head_dim=D // 2, in_channels=D, num_layers=layers, norm_num_groups=GROUPS, positional_embeddings="sinusoidal", num_positional_embeddings=16)
    inputs = {"x": randn(6, 2 * F, D, H, W)}
    case(name, motion.AnimateDiffTransformer3D(**config), inputs, lambda m, x: m(x["x"], num_frames=F), norm, frames=F, motion_norm=norm, **config)

for name, flip, shift in [("time-sd", True, 0), ("time-plain", False, 1)]:
    steps = torch.tensor([0.0, 1.0, 19.0, 259.0, 499.0, 999.0])
    module = torch.nn.Sequential(Timesteps(C, flip_sin_to_cos=flip, downscale_freq_shift=shift), TimestepEmbedding(C, TEMB))
    case(name, module, {"timesteps": steps}, lambda m, x: m[1](m[0](x["timesteps"]).to(m[1].linear_1.weight.dtype)), channels=C, flip_sin_to_cos=flip, freq_shift=shift)
    tensors[f"{name}.out.1"] = module[0](steps)  # before the network

for pad in (1, 0):
    case(f"downsample-padding{pad}", Downsample2D(C, use_conv=True, out_channels=C, padding=pad), {"x": frames(7, C, 7, 4)}, lambda m, x: m(x["x"]), padding=pad)
case("upsample", Upsample2D(C, use_conv=True, out_channels=C), {"x": frames(8, C)}, lambda m, x: m(x["x"]))
case("upsample-to-size", Upsample2D(C, use_conv=True, out_channels=C), {"x": frames(9, C, 3, 4)}, lambda m, x: m(x["x"], output_size=(5, 7)), output_size=[5, 7])

config = dict(in_channels=C, out_channels=D, num_layers=2, **COMMON, **MOTION)
case("down-motion", motion.DownBlockMotion(**config), {"x": frames(10, C), "temb": temb(11)}, lambda m, x: m(x["x"], x["temb"], num_frames=F), frames=F, **config)
cross = {"temb": temb(12), "text": text(13)}
config = dict(in_channels=C, out_channels=D, num_layers=1, **COMMON, **MOTION, **CROSS)
case(
    "cross-attn-down-motion", motion.CrossAttnDownBlockMotion(**config), {"x": frames(14, C), **cross},
    lambda m, x: m(x["x"], x["temb"], encoder_hidden_states=x["text"], num_frames=F), frames=F, **config,
)
config = dict(in_channels=D, **COMMON, **MOTION, **CROSS)
case(
    "mid-motion", motion.UNetMidBlockCrossAttnMotion(**config), {"x": frames(15, D), **cross},
    lambda m, x: m(x["x"], x["temb"], encoder_hidden_states=x["text"], num_frames=F), frames=F, **config,
)
# The skips come in the order of the way down; the block takes them from the end.
skips = {"skip.0": frames(16, C), "skip.1": frames(17, D)}
config = dict(in_channels=C, out_channels=D, prev_output_channel=32, num_layers=2, **COMMON, **MOTION)
case("up-motion", motion.UpBlockMotion(**config), {"x": frames(18, 32), "temb": temb(19), **skips}, lambda m, x: m(x["x"], (x["skip.0"], x["skip.1"]), x["temb"], num_frames=F), frames=F, **config)
config |= CROSS
case(
    "cross-attn-up-motion", motion.CrossAttnUpBlockMotion(**config, add_upsample=False), {"x": frames(20, 32), **cross, **skips},
    lambda m, x: m(x["x"], (x["skip.0"], x["skip.1"]), x["temb"], encoder_hidden_states=x["text"], num_frames=F), frames=F, add_upsample=False, **config,
)

config = dict(in_channels=C, out_channels=D, num_layers=1, resnet_groups=GROUPS, resnet_eps=1e-6)
case("vae-down", DownEncoderBlock2D(downsample_padding=0, **config), {"x": frames(21, C)[:2]}, lambda m, x: m(x["x"]), **config)
case("vae-up", UpDecoderBlock2D(**config), {"x": frames(22, C)[:2]}, lambda m, x: m(x["x"]), **config)
config = dict(in_channels=D, temb_channels=None, resnet_groups=GROUPS, resnet_eps=1e-6, attention_head_dim=D)
case("vae-mid", UNetMidBlock2D(**config), {"x": frames(23, D)[:2]}, lambda m, x: m(x["x"]), **config)

for act in ("quick_gelu", "gelu"):
    config = dict(hidden_size=D, intermediate_size=48, num_attention_heads=3, hidden_act=act)
    layer = CLIPEncoderLayer(CLIPTextConfig(**config, attn_implementation="eager"))
    n = 9
    mask = torch.full((n, n), torch.finfo(torch.float32).min).triu(1)[None, None]
    case(f"clip-layer-{act.replace('_', '-')}", layer, {"x": randn(24, 2, n, D)}, lambda m, x: m(x["x"], None, mask.to(x["x"].dtype))[0], **config)

save(FIXTURES / "blocks.safetensors", tensors, half=(".weights.", ".in.x", ".in.temb", ".in.text", ".in.skip"), cases=cases)
