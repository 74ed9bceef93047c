// Activations by number, so that an epilogue needs one pipeline for all of them.

fn activate(v: f32, kind: u32) -> f32 {
  switch (kind) {
    case 1u: { return v / (1f + exp(-v)); } // SiLU
    case 2u: { return gelu(v); }
    case 3u: { return 0.5f * v * (1f + tanh(clamp(0.7978845608028654f * (v + 0.044715f * v * v * v), -15f, 15f))); } // tanh GELU
    case 4u: { return v / (1f + exp(-1.702f * v)); } // quick GELU
    case 5u: { return max(v, 0f); } // ReLU
    default: { return v; }
  }
}

// 0.5 v (1 + erf(v / sqrt 2)); erf by Abramowitz and Stegun's rational form 7.1.28 would give 3e-7; this is W. J. Cody's
// shape with Numerical Recipes' Chebyshev coefficients for erfc: relative error below 1.2e-7.
fn gelu(v: f32) -> f32 {
  let z = abs(v) * 0.7071067811865476f;
  let t = 1f / (1f + 0.5f * z);
  let poly = -1.26551223f + t * (1.00002368f + t * (0.37409196f + t * (0.09678418f + t * (-0.18628806f
    + t * (0.27886807f + t * (-1.13520398f + t * (1.48851587f + t * (-0.82215223f + t * 0.17087277f))))))));
  let erfc = t * exp(-z * z + poly);
  return select(v * (1f - 0.5f * erfc), v * 0.5f * erfc, v < 0f);
}
