"""Context windows around diffusers' UNet and SparseCtrl: each step's prediction is the weighted mean of those of overlapping windows.

Weights 1, 2, … 2, 1 over a window, divided by their sum over all windows: Kineograph's `long: "window"`, static schedule.
"""

import contextlib

import torch


def starts(frames: int, context: int, stride: int) -> list[int]:
    out = list(range(0, frames - context + 1, stride))
    return out if out[-1] + context == frames else [*out, frames - context]


@contextlib.contextmanager
def windowed(pipe, context: int, stride: int):
    """Evaluates `pipe.unet` in windows, and a SparseCtrl of the pipeline on the same frames."""
    unet, control = pipe.unet, getattr(pipe, "controlnet", None)
    unet_forward, control_forward = unet.forward, control and control.forward
    waiting: dict = {}
    unet.window = None  # the frames under evaluation, for hooks that add maps of their own
    weights = torch.tensor([min(i, context - 1 - i) + 1.0 for i in range(context)], dtype=unet.dtype)

    def wait(sample, timestep, **kwargs):  # until the UNet is evaluated
        waiting.update(kwargs, sample=sample, timestep=timestep)
        return [None], None

    def evaluate(sample, timestep, encoder_hidden_states, down_block_additional_residuals=None, mid_block_additional_residual=None, **kwargs):
        b, _, f = sample.shape[:3]
        total, sums = torch.zeros_like(sample), torch.zeros(f, dtype=unet.dtype)
        of = lambda x, s: x.reshape(b, f, *x.shape[1:])[:, s].flatten(0, 1)
        for start in starts(f, context, stride):
            s = unet.window = slice(start, start + context)
            more = {}
            if waiting:
                w = waiting
                down, mid = control_forward(
                    sample=w["sample"][:, :, s], timestep=w["timestep"], encoder_hidden_states=of(w["encoder_hidden_states"], s),
                    controlnet_cond=w["controlnet_cond"][:, :, s], conditioning_mask=w["conditioning_mask"][:, :, s],
                    conditioning_scale=w["conditioning_scale"], guess_mode=w["guess_mode"], return_dict=False,
                )
                more = dict(down_block_additional_residuals=down, mid_block_additional_residual=mid)
            text = of(encoder_hidden_states, s)
            kwargs["return_dict"] = True
            total[:, :, s] += unet_forward(sample[:, :, s], timestep, encoder_hidden_states=text, **more, **kwargs).sample * weights.view(1, 1, -1, 1, 1)
            sums[s] += weights
        out = total / sums.view(1, 1, -1, 1, 1)
        return type("Out", (), {"sample": out, "__getitem__": lambda _, i: out})()

    unet.forward = evaluate
    if control:
        control.forward = wait
    try:
        yield
    finally:
        unet.window = None
        unet.forward = unet_forward
        if control:
            control.forward = control_forward


class Within:
    """A pipeline whose calls run inside of context managers that are made for it."""

    def __init__(self, pipe, *managers) -> None:
        self.__dict__.update(pipe=pipe, managers=managers)

    def __getattr__(self, name):
        return getattr(self.pipe, name)

    def __setattr__(self, name, value):
        setattr(self.pipe, name, value)

    def __call__(self, **kwargs):
        with contextlib.ExitStack() as stack:
            for manager in self.managers:
                stack.enter_context(manager(self.pipe))
            return self.pipe(**kwargs)


def within(pipe, a: dict, *managers) -> Within:
    """The pipeline as the arguments `a` want it: in windows or not."""
    window = [lambda p: windowed(p, a["context"], a["stride"])] if a.get("long") == "window" else []
    return Within(pipe, *window, *managers)
