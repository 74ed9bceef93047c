/**
 * β_t, ᾱ_t = Π(1 − β) and what is made of them, in the f32 arithmetic of diffusers (torch.linspace; cumprod with a
 * double accumulator). "linear" and "scaled_linear" run from β_start to β_end, the latter evenly in √β;
 * "squaredcos_cap_v2" is Nichol and Dhariwal's cosine (arXiv 2102.09672); zero terminal SNR is Algorithm 1 of
 * arXiv 2305.08891.
 */
import { ConfigReader, type CommonConfig, type SchedulerConfig } from "./config.js";
import { combine, type Terms } from "./plan.js";

const { fround, sqrt } = Math;

/** torch.linspace in f32: steps are counted from the nearer end. */
export function linspaceF32(start: number, end: number, n: number): Float32Array {
  const [a, b] = [fround(start), fround(end)];
  const step = n > 1 ? fround((b - a) / (n - 1)) : 0;
  return Float32Array.from({ length: n }, (_, i) => (i < n / 2 ? a + step * i : b - step * (n - 1 - i)));
}

/** β for every training timestep, before any rescaling. */
export function betas(config: CommonConfig): Float32Array {
  const { betaStart, betaEnd, trainTimesteps: n, betaSchedule, trainedBetas } = config;
  if (trainedBetas !== undefined) return Float32Array.from(trainedBetas);
  switch (betaSchedule) {
    case "linear":
      return linspaceF32(betaStart, betaEnd, n);
    case "scaled_linear":
      return linspaceF32(sqrt(betaStart), sqrt(betaEnd), n).map((root) => root * root);
    case "squaredcos_cap_v2": {
      const bar = (t: number): number => Math.cos((((t / n + 0.008) / 1.008) * Math.PI) / 2) ** 2;
      return Float32Array.from({ length: n }, (_, i) => Math.min(1 - bar(i + 1) / bar(i), 0.999));
    }
  }
}

function cumulativeProduct(alphas: Float32Array): Float32Array {
  let product = 1;
  return alphas.map((alpha) => (product *= alpha));
}

/** β scaled and shifted in √ᾱ so that the last timestep is pure noise. */
function rescaleZeroTerminalSnr(beta: Float32Array): Float32Array {
  const root = cumulativeProduct(beta.map((b) => 1 - b)).map(sqrt);
  const first = root[0]!;
  const last = root.at(-1)!;
  const scale = fround(first / fround(first - last));
  const bar = root.map((r) => fround(r - last) * scale).map((r) => r * r);
  return bar.map((b, t) => 1 - fround(t === 0 ? b : b / bar[t - 1]!));
}

/** ᾱ for every training timestep. */
export function alphasCumprod(config: CommonConfig): Float32Array {
  const beta = betas(config);
  return cumulativeProduct((config.rescaleBetasZeroSnr ? rescaleZeroTerminalSnr(beta) : beta).map((b) => 1 - b));
}

/** ᾱ as a sampler over σ = √((1 − ᾱ)/ᾱ) takes it: with zero terminal SNR the last is 2⁻²⁴, so that σ stays finite. */
export function alphasCumprodForSigmas(config: CommonConfig): Float32Array {
  const bar = alphasCumprod(config);
  if (config.rescaleBetasZeroSnr) bar[bar.length - 1] = 2 ** -24;
  return bar;
}

/** σ = √((1 − ᾱ)/ᾱ), the noise level where the sample is x₀ + σ·noise. */
export function sigmasOf(bar: Float32Array): Float32Array {
  return bar.map((a) => sqrt(fround(fround(1 - a) / a)));
}

/** Signal and noise at the last training timestep, where FreeInit begins anew; a config that says nothing is SD 1.5's. */
export function lastNoiseLevel(config: SchedulerConfig): { readonly alpha: number; readonly sigma: number } {
  const read = new ConfigReader(config, "the noise schedule", []);
  const common = read.common({ betaStart: 0.00085, betaEnd: 0.012, betaSchedule: "scaled_linear", spacing: "leading" });
  return signalAndNoise(alphasCumprod(common).at(-1)!);
}

/** √ᾱ and √(1 − ᾱ) in f32. */
export function signalAndNoise(bar: number): { readonly alpha: number; readonly sigma: number } {
  return { alpha: fround(sqrt(bar)), sigma: fround(sqrt(fround(1 - bar))) };
}

/** x₀ and ε out of what the network predicted, where sample = alpha·x₀ + sigma·ε. */
export function fromPrediction(
  type: CommonConfig["predictionType"],
  alpha: number,
  sigma: number,
  sample: Terms = [["sample", 1]],
  output: Terms = [["output", 1]],
): { readonly x0: Terms; readonly eps: Terms } {
  switch (type) {
    case "epsilon":
      return { x0: combine([sample, 1 / alpha], [output, -sigma / alpha]), eps: output };
    case "sample":
      return { x0: output, eps: combine([sample, 1 / sigma], [output, -alpha / sigma]) };
    case "v_prediction":
      // v = α·ε − σ·x₀, with α² + σ² = 1
      return { x0: combine([sample, alpha], [output, -sigma]), eps: combine([output, alpha], [sample, sigma]) };
  }
}
