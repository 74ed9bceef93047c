// What a file is by its first bytes, so that a wrong file is named instead of misread.

import type { ByteSource } from "./byte-source.js";

/** Kinds of file that people hand over as a checkpoint. */
export type FileKind =
  | "safetensors"
  | "torch-zip"
  | "torch-legacy"
  | "pickle"
  | "empty"
  | "html"
  | "xml"
  | "lfs-pointer"
  | "json"
  | "gguf"
  | "ggml"
  | "png"
  | "jpeg"
  | "gif"
  | "riff"
  | "mp4"
  | "gzip"
  | "7z"
  | "rar"
  | "tar"
  | "hdf5"
  | "onnx"
  | "numpy"
  | "zeros"
  | "text"
  | "unknown";

const WHAT: Readonly<Record<FileKind, string>> = {
  safetensors: "a safetensors file",
  "torch-zip": "a zip archive (as torch.save writes)",
  "torch-legacy":
    "a PyTorch file in the format before 1.6; load it with a current PyTorch and torch.save it again, or convert it to safetensors",
  pickle: "a bare Python pickle",
  empty: "an empty file; the download did not start or was cut off: download it again",
  html: "a web page, not a model: the address led to the page about the file (or to a login page), download the file itself",
  xml: "an XML document (often a server's error message); download the file again",
  "lfs-pointer":
    "a Git LFS pointer, not the file it points to: run `git lfs pull` in that folder, or download the file itself",
  json: "a JSON text",
  gguf: "a GGUF file (llama.cpp and stable-diffusion.cpp); use the original safetensors file",
  ggml: "a GGML file (llama.cpp); use the original safetensors file",
  png: "a PNG picture (often a model's preview)",
  jpeg: "a JPEG picture (often a model's preview)",
  gif: "a GIF picture",
  riff: "a WebP, WAV or AVI file",
  mp4: "an MP4 or QuickTime video",
  gzip: "a gzip archive; unpack it first",
  "7z": "a 7-Zip archive; unpack it first",
  rar: "a RAR archive; unpack it first",
  tar: "a tar archive (torch.save before 0.1.10, or a bundle of files); unpack it first",
  hdf5: "an HDF5 file (Keras); a PyTorch or safetensors file of the same model is needed",
  onnx: "an ONNX graph; a PyTorch or safetensors file of the same model is needed",
  numpy: "a NumPy array",
  zeros: "full of zero bytes: the download was cut off or the disk was full: download it again",
  text: "a text file",
  unknown: "of no format known here",
};

/** Bytes from the front that `sniff` looks at. */
export const SNIFF_BYTES = 512;

/** The pickled number 0x1950a86a20f9469cfc6c that torch.save's old format begins with. */
const TORCH_MAGIC = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/** The kind's description, to follow "it is". */
export function describeKind(kind: FileKind): string {
  return WHAT[kind];
}

/** Recognises a file by (up to) its first 512 bytes and its size. */
export function sniff(head: Uint8Array, size: number): FileKind {
  if (size === 0) return "empty";
  const latin = String.fromCharCode(...head.subarray(0, SNIFF_BYTES));
  const begins = (s: string) => latin.startsWith(s);
  if (begins("PK\x03\x04") || begins("PK\x05\x06")) return "torch-zip";
  if (begins("\x89PNG\r\n\x1a\n")) return "png";
  if (begins("GGUF")) return "gguf";
  if (/^(ggml|ggjt|ggla|lmgg|tjgg)/.test(latin)) return "ggml";
  if (begins("version https://git-lfs")) return "lfs-pointer";
  if (begins("\xff\xd8\xff")) return "jpeg";
  if (/^GIF8[79]a/.test(latin)) return "gif";
  if (begins("RIFF")) return "riff";
  if (latin.slice(4, 8) === "ftyp") return "mp4";
  if (begins("\x1f\x8b")) return "gzip";
  if (begins("7z\xbc\xaf\x27\x1c")) return "7z";
  if (begins("Rar!\x1a\x07")) return "rar";
  if (latin.slice(257, 262) === "ustar") return "tar";
  if (begins("\x89HDF\r\n\x1a\n")) return "hdf5";
  if (begins("\x93NUMPY")) return "numpy";
  // 0x1950a86a20f9469cfc6c, the magic number of torch.save's old format, as a pickled long.
  const pickled = head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5;
  if (pickled && latin.slice(2, 24).includes(TORCH_MAGIC)) return "torch-legacy";
  if (head.length >= 9 && latin[8] === "{") {
    const length = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
    const high = new DataView(head.buffer, head.byteOffset).getUint32(4, true);
    if (high < 2 ** 16 && length + high > 0) return "safetensors";
  }
  if (pickled) return "pickle";
  const text = latin.replace(/^\xef\xbb\xbf/, "").trimStart();
  if (/^<(!doctype html|html|head|body|script)/i.test(text)) return "html";
  if (/^<(\?xml|error|[a-z]+[\s>])/i.test(text)) return "xml";
  if (/^[{[]/.test(text) && !head.includes(0)) return "json";
  if (head[0] === 8 && head[1]! < 16 && head[2] === 0x12) return "onnx";
  if (head.every((b) => b === 0)) return "zeros";
  if (/^[\t\n\r\x20-\x7e]+$/.test(latin)) return "text";
  return "unknown";
}

/** `sniff` on a source. */
export async function sniffSource(source: ByteSource): Promise<FileKind> {
  return sniff(await source.read(0, Math.min(SNIFF_BYTES, source.size)), source.size);
}
