// A GIF decoder for the tests, written from the GIF89a specification alone: palettes, LZW, transparency, disposal by keeping.

export interface DecodedGif {
  readonly width: number;
  readonly height: number;
  /** 0: forever; undefined: once. */
  readonly loops: number | undefined;
  readonly frames: readonly { readonly hundredths: number; readonly rgba: Uint8Array }[];
}

export function decodeGif(b: Uint8Array): DecodedGif {
  const u16 = (at: number) => b[at]! | (b[at + 1]! << 8);
  const [width, height] = [u16(6), u16(8)];
  let at = 13;
  const readTable = (flags: number): Uint8Array => {
    const size = flags & 0x80 ? 3 << ((flags & 7) + 1) : 0;
    at += size;
    return b.subarray(at - size, at);
  };
  const blocks = (): Uint8Array => {
    const out: number[] = [];
    for (let n = b[at++]!; n > 0; n = b[at++]!) {
      out.push(...b.subarray(at, at + n));
      at += n;
    }
    return new Uint8Array(out);
  };
  const global = readTable(b[10]!);
  let loops: number | undefined;
  let [hundredths, clear] = [0, -1];
  const canvas = new Uint8Array(width * height * 4);
  const frames: { hundredths: number; rgba: Uint8Array }[] = [];
  for (;;) {
    const kind = b[at++];
    if (kind === 0x3b) return { width, height, loops, frames };
    if (kind === 0x21) {
      const label = b[at++];
      if (label === 0xf9) {
        hundredths = u16(at + 2);
        clear = b[at + 1]! & 1 ? b[at + 4]! : -1;
      }
      const data = blocks();
      if (label === 0xff && String.fromCharCode(...data.subarray(0, 11)) === "NETSCAPE2.0")
        loops = data[12]! | (data[13]! << 8);
    } else if (kind === 0x2c) {
      const [x0, y0, w, h, flags] = [u16(at), u16(at + 2), u16(at + 4), u16(at + 6), b[at + 8]!];
      at += 9;
      const local = readTable(flags);
      const table = local.length > 0 ? local : global;
      const size = b[at++]!;
      const pixels = unpack(blocks(), size, w * h);
      pixels.forEach((v, i) => {
        if (v !== clear)
          canvas.set([...table.subarray(v * 3, v * 3 + 3), 255], ((y0 + Math.floor(i / w)) * width + x0 + (i % w)) * 4);
      });
      frames.push({ hundredths, rgba: canvas.slice() });
    } else throw new Error(`not a GIF block: ${kind} at ${at}`);
  }
}

/** LZW with codes from `size + 1` to 12 bits. */
function unpack(data: Uint8Array, size: number, count: number): number[] {
  const reset = 1 << size;
  const out: number[] = [];
  let table: number[][] = [];
  let width = 0;
  let before: number[] | undefined;
  const clear = () => {
    table = Array.from({ length: reset + 2 }, (_, i) => (i < reset ? [i] : []));
    width = size + 1;
    before = undefined;
  };
  clear();
  for (let bit = 0; out.length < count;) {
    let code = 0;
    for (let i = 0; i < width; i++, bit++) code |= ((data[bit >> 3]! >> (bit & 7)) & 1) << i;
    if (code === reset) {
      clear();
      continue;
    }
    if (code === reset + 1) break;
    const entry: number[] = table[code] ?? [...before!, before![0]!];
    out.push(...entry);
    if (before && table.length < 4096) table.push([...before, entry[0]!]);
    if (table.length === 1 << width && width < 12) width++;
    before = entry;
  }
  if (out.length !== count) throw new Error(`GIF frame of ${out.length} pixels, expected ${count}`);
  return out;
}
