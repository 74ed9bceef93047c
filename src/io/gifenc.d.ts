// The part of gifenc (which brings no types) that gif.ts uses.

declare module "gifenc" {
  interface Encoder {
    readonly stream: { writeByte(byte: number): void; writeBytes(bytes: ArrayLike<number>): void };
    writeFrame(
      index: Uint8Array,
      width: number,
      height: number,
      options: {
        readonly palette?: readonly (readonly number[])[] | null;
        /** Milliseconds, rounded to hundredths of a second. */
        readonly delay?: number;
        readonly repeat?: number;
        readonly transparent?: boolean;
        readonly transparentIndex?: number;
        readonly dispose?: number;
        readonly colorDepth?: number;
      },
    ): void;
    finish(): void;
    bytes(): Uint8Array;
  }
  interface Gifenc {
    GIFEncoder(options?: { readonly initialCapacity?: number }): Encoder;
    quantize(rgba: Uint8Array, colors: number, options?: { readonly format?: "rgb565" | "rgb444" }): number[][];
  }
  export const GIFEncoder: Gifenc["GIFEncoder"];
  export const quantize: Gifenc["quantize"];
  const cjs: Gifenc;
  export default cjs;
}
