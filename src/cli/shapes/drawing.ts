// How the demo model's training clips are drawn, as far as the checker must know: the four backgrounds and the five outlines.
// A port of models/shapes/train/data.py, whose numbers these are; pixels at 128 × 128, y downwards.

export const SIZE = 128;
export const SHAPES = ["circle", "square", "triangle", "star", "heart"] as const;
export const BACKGROUNDS = ["night sky", "sunset", "green meadow", "blue sea"] as const;
export type ShapeName = (typeof SHAPES)[number];
export type BackgroundName = (typeof BACKGROUNDS)[number];

type Rgb = readonly [number, number, number];

/** The typical colour of the inside of an object, shading included (checker.py's colour_refs). */
export const COLOURS = {
  red: [224.516, 36.944, 44.85],
  green: [21.011, 149.962, 70.64],
  blue: [42.892, 72.61, 224.516],
  yellow: [245.601, 211.206, 36.944],
  orange: [245.601, 128.151, 17.056],
  purple: [136.051, 52.771, 199.532],
  pink: [245.601, 116.246, 185.646],
  white: [242.914, 242.914, 246.446],
} as const satisfies Readonly<Record<string, Rgb>>;
export type ColourName = keyof typeof COLOURS;

const { abs, exp, max, min, PI, sin, sqrt } = Math;

/** Math.hypot is many times slower. */
function hypot(x: number, y: number): number {
  return sqrt(x * x + y * y);
}

/** 0 at e0, 1 at e1 (which may be the smaller), smooth between. */
function smooth(e0: number, e1: number, x: number): number {
  const t = min(1, max(0, (x - e0) / (e1 - e0)));
  return t * t * (3 - 2 * t);
}

function mix(a: Rgb, b: Rgb, t: number): Rgb {
  return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
}

/** The colour at `v` between stops of ascending places; the ends' beyond them. */
function gradient(v: number, stops: readonly (readonly [at: number, rgb: Rgb])[]): Rgb {
  let i = 1;
  while (i < stops.length - 1 && v > stops[i]![0]) i++;
  const [[x0, a], [x1, b]] = [stops[i - 1]!, stops[i]!];
  return mix(a, b, min(1, max(0, (v - x0) / (x1 - x0))));
}

/** A background's colour at the middle of a pixel; `x` and `y` in pixels. */
type Paint = (x: number, y: number) => Rgb;

const nightSky: Paint = (X, Y) => {
  const x = X / SIZE;
  let c = gradient(Y / SIZE, [
    [0, [9, 11, 44]],
    [0.55, [27, 31, 92]],
    [0.9, [74, 58, 132]],
    [1, [84, 64, 138]],
  ]);
  STARS.forEach(([px, py], i) => {
    const [s, a] = i % 3 === 0 ? [1.25, 1] : [0.95, 0.8];
    const d2 = (X - px) ** 2 + (Y - py) ** 2;
    const glow = a * exp(-d2 / (2 * s * s)) + 0.22 * a * exp(-d2 / (2 * 3.2 ** 2));
    c = mix(c, [255, 250, 225], min(1, max(0, glow)));
  });
  const h = 112 + 5 * sin(x * 7 + 0.6) + 3 * sin(x * 15 + 2);
  return mix(c, [16, 16, 46], smooth(-0.8, 0.8, Y - h));
};

const STARS: readonly (readonly [number, number])[] = [
  [14, 18],
  [38, 9],
  [61, 24],
  [88, 12],
  [113, 22],
  [23, 45],
  [104, 47],
  [121, 66],
  [8, 74],
  [46, 62],
  [77, 50],
  [66, 86],
  [95, 80],
  [29, 92],
  [52, 36],
  [116, 96],
  [84, 101],
  [12, 104],
];

const sunset: Paint = (X, Y) => {
  const [x, y] = [X / SIZE, Y / SIZE];
  const stops = [
    [0, [112, 84, 158]],
    [0.3, [206, 120, 158]],
    [0.55, [250, 168, 138]],
    [0.8, [255, 222, 158]],
    [1, [255, 226, 160]],
  ] as const;
  let c = gradient(y, stops);
  c = mix(c, [255, 246, 196], 0.85 * exp(-(((x - 0.5) / 0.34) ** 2 + ((y - 0.86) / 0.2) ** 2)));
  for (const [cx, cy, w, h] of [
    [28, 30, 26, 4.5],
    [96, 22, 22, 4],
    [84, 50, 30, 4],
    [20, 62, 20, 3.5],
  ] as const)
    c = mix(c, [255, 206, 190], 0.6 * exp(-(((X - cx) / w) ** 2 + ((Y - cy) / h) ** 2)));
  c = mix(c, [150, 84, 118], smooth(-0.8, 0.8, Y - (106 + 5 * sin(x * 6 + 2.2))));
  return mix(c, [96, 56, 96], smooth(-0.8, 0.8, Y - (115 + 4 * sin(x * 8 + 0.4))));
};

const greenMeadow: Paint = (X, Y) => {
  const x = X / SIZE;
  let c = gradient(Y / SIZE, [
    [0, [120, 198, 246]],
    [0.6, [222, 244, 254]],
    [1, [222, 244, 254]],
  ]);
  for (const [cx, cy, r] of [
    [26, 24, 9],
    [38, 21, 11],
    [50, 25, 8],
    [94, 38, 8],
    [105, 35, 10],
    [116, 39, 7],
  ] as const)
    c = mix(c, [252, 254, 255], 0.9 * smooth(2.2, -2.2, sqrt((X - cx) ** 2 + ((Y - cy) * 1.35) ** 2) - r));
  const far = 74 + 7 * sin(x * 5.2 + 0.5);
  const farHill = gradient(min(1, max(0, (Y - far) / 50)), [
    [0, [178, 222, 124]],
    [1, [138, 196, 92]],
  ]);
  c = mix(c, farHill, smooth(-0.8, 0.8, Y - far));
  const near = 94 + 6 * sin(x * 6.4 + 3.4);
  const nearHill = gradient(min(1, max(0, (Y - near) / 40)), [
    [0, [150, 208, 92]],
    [1, [104, 172, 66]],
  ]);
  c = mix(c, nearHill, smooth(-0.8, 0.8, Y - near));
  FLOWERS.forEach(([px, py], i) => {
    c = mix(c, i % 2 === 1 ? [255, 252, 240] : [255, 214, 96], smooth(2.6, 1, hypot(X - px, Y - py)));
  });
  return c;
};

const FLOWERS: readonly (readonly [number, number])[] = [
  [12, 104],
  [30, 114],
  [50, 106],
  [70, 118],
  [92, 112],
  [110, 102],
  [120, 119],
  [20, 122],
];

const blueSea: Paint = (X, Y) => {
  const [x, y] = [X / SIZE, Y / SIZE];
  const sky = gradient(min(1, max(0, y / 0.3)), [
    [0, [150, 214, 248]],
    [1, [232, 248, 254]],
  ]);
  const sea = gradient(min(1, max(0, (y - 0.3) / 0.7)), [
    [0, [118, 208, 226]],
    [0.35, [62, 166, 212]],
    [1, [24, 104, 176]],
  ]);
  let c = mix(sky, sea, smooth(-0.8, 0.8, Y - (0.3 * SIZE + 0.8 * sin(x * 20))));
  for (const [yc, amp, n, phase, a] of WAVES)
    c = mix(c, [214, 244, 250], a * smooth(2.4, 0.4, abs(Y - (yc + amp * sin(2 * PI * n * x + phase)))));
  return c;
};

const WAVES: readonly (readonly [number, number, number, number, number])[] = [
  [50, 1.6, 5, 0.3, 0.4],
  [64, 2, 4, 1.9, 0.38],
  [80, 2.6, 3.5, 0.9, 0.36],
  [98, 3, 3, 2.6, 0.34],
  [116, 3.4, 2.5, 0.2, 0.32],
];

const PAINTS: Readonly<Record<BackgroundName, Paint>> = {
  "night sky": nightSky,
  sunset,
  "green meadow": greenMeadow,
  "blue sea": blueSea,
};

/** A background, f32 `[128, 128, 3]`, 0 … 255. */
export function background(name: BackgroundName): Float32Array {
  const out = new Float32Array(SIZE * SIZE * 3);
  for (let p = 0; p < SIZE * SIZE; p++) {
    const rgb = PAINTS[name]((p % SIZE) + 0.5, Math.floor(p / SIZE) + 0.5);
    out.set(
      rgb.map((v) => min(255, max(0, v))),
      p * 3,
    );
  }
  return out;
}

/** Signed distance to an outline in pixels; `x`, `y` from its centre, `r` its nominal radius. */
export function distance(shape: ShapeName, x: number, y: number, r: number): number {
  switch (shape) {
    case "circle":
      return hypot(x, y) - r;
    case "square": {
      const [h, rd] = [0.88 * r, 0.16 * r];
      const [qx, qy] = [abs(x) - (h - rd), abs(y) - (h - rd)];
      return hypot(max(qx, 0), max(qy, 0)) + min(max(qx, qy), 0) - rd;
    }
    case "triangle": {
      const rd = 0.13 * r;
      const s = 1.14 * r - rd; // half a side
      let px = abs(x) - s;
      const py = -(y - 0.2 * r) + s / sqrt(3);
      let ny = py;
      if (px + sqrt(3) * py > 0) {
        ny = (-sqrt(3) * px - py) / 2;
        px = (px - sqrt(3) * py) / 2;
      }
      px -= min(0, max(-2 * s, px));
      return -hypot(px, ny) * Math.sign(ny) - rd;
    }
    case "star": {
      const rd = 0.07 * r;
      const [R, inner] = [1.26 * r - rd, 0.5];
      const [kx, ky] = [0.809016994375, -0.587785252292];
      let [px, py] = [abs(x), -(y - 0.06 * r)];
      for (const side of [1, -1]) {
        const d = max(side * kx * px + ky * py, 0);
        px -= 2 * d * side * kx;
        py -= 2 * d * ky;
      }
      px = abs(px);
      py -= R;
      const [bx, by] = [inner * -ky, inner * kx - 1];
      const along = min(R, max(0, (px * bx + py * by) / (bx * bx + by * by)));
      return hypot(px - bx * along, py - by * along) * Math.sign(py * bx - px * by) - rd;
    }
    case "heart": {
      const s = 1.82 * r; // Inigo Quilez's heart, which is 1.1 high
      const [px, py] = [abs(x) / s, -(y - 0.92 * r) / s];
      if (py + px > 1) return (hypot(px - 0.25, py - 0.75) - sqrt(2) / 4) * s;
      const m = 0.5 * max(px + py, 0);
      return sqrt(min(px ** 2 + (py - 1) ** 2, (px - m) ** 2 + (py - m) ** 2)) * Math.sign(px - py) * s;
    }
  }
}
