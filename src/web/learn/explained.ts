// What each kind of part does, in a few sentences.

import type { PartKind } from "./map.js";

export const EXPLAINED: Readonly<Record<PartKind, string>> = {
  embed: "Each word piece of the sentence becomes a vector: a row of a table, plus one for its place.",
  layer:
    "A transformer layer of CLIP's text encoder. Every word looks at the words before it and takes up what matters; after the last layer each word's vector knows its sentence.",
  resnet:
    "Two 3 × 3 convolutions with a shortcut around them. They work on every frame alone: edges, surfaces, shapes. Between them comes in how much noise is left (the timestep).",
  attention:
    "A spatial transformer. First every place of a frame looks at all its other places (attn1), then at the words of the sentence (attn2): here the picture learns what it should show.",
  motion:
    "A motion module, AnimateDiff's addition. Every place looks at the same place in all other frames and is told which frame is which: here single pictures become a movement.",
  down: "Half the width and height from here on, by a convolution that takes every second place: the next blocks see more of the picture at once.",
  up: "Twice the width and height from here on: every place is repeated, then a convolution smooths it.",
  in: "What comes in: the noisy latents become channels, and the timestep becomes a vector that every ResNet is given.",
  out: "What goes out: the channels become a prediction of the noise (in the UNet) or red, green and blue (in the decoder).",
  sampler:
    "The arithmetic around the networks: the sampler's step from one noise level to the next, guidance, copies, checks for values that are no numbers.",
};

/** What is told of the three networks. */
export const NETWORKS = {
  text: "The sentence is read once. What comes out, 77 vectors, is looked at by every attention of the UNet.",
  unet: "Evaluated once per step on all frames together. The left side shrinks the picture, the middle sees it as a whole, the right side brings it back, with shortcuts straight across. What it predicts is the noise.",
  decoder: "At the end the VAE's decoder turns each frame's latents, 8 × 8 pixels apiece, into colours.",
} as const;
