// WebP's container: chunks in a RIFF file. Here only the texts in it, kept as XMP. Pixels are left to sharp and browsers.
// Source: RFC 9649 (WebP), section 2; Adobe's XMP specification, part 1.

import { PictureError } from "./errors.js";

const NAMESPACE = "urn:kineograph:1";

export function isWebp(bytes: Uint8Array): boolean {
  return /^RIFF....WEBP/s.test(String.fromCharCode(...bytes.subarray(0, 12)));
}

/** Texts by keyword as an XMP packet. */
export function xmpPacket(texts: Readonly<Record<string, string>>): string {
  const attributes = Object.entries(texts).map(([keyword, text]) => {
    if (!/^[a-z]\w*$/i.test(keyword)) throw new RangeError(`XMP: ${JSON.stringify(keyword)} is no keyword`);
    return `k:${keyword}="${text.replaceAll(/[&<>"'\n\r\t]/g, (c) => `&#${c.charCodeAt(0)};`)}"`;
  });
  return (
    `<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">` +
    `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:k="${NAMESPACE}" ` +
    `${attributes.join(" ")}/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>`
  );
}

/** The texts that `xmpPacket` put into a WebP file. @throws PictureError when it is none or is cut off */
export function webpTexts(bytes: Uint8Array): ReadonlyMap<string, string> {
  if (!isWebp(bytes)) throw new PictureError("this is no WebP file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts = new Map<string, string>();
  const end = Math.min(bytes.length, view.getUint32(4, true) + 8);
  for (let at = 12; at < end;) {
    const size = at + 8 <= end ? view.getUint32(at + 4, true) : Infinity;
    if (at + 8 + size > end) throw new PictureError("this WebP file is cut off");
    const type = String.fromCharCode(...bytes.subarray(at, at + 4));
    const data = bytes.subarray(at + 8, at + 8 + size);
    if (type === "XMP ") for (const [k, text] of xmpTexts(new TextDecoder().decode(data))) texts.set(k, text);
    at += 8 + size + (size & 1);
  }
  return texts;
}

function* xmpTexts(xml: string): Generator<readonly [string, string]> {
  const own = new RegExp(`xmlns:(\\w+)=["']${NAMESPACE}["']`).exec(xml)?.[1];
  if (own === undefined) return;
  for (const [, keyword = "", , text = ""] of xml.matchAll(new RegExp(`\\b${own}:(\\w+)=(["'])(.*?)\\2`, "gs")))
    yield [keyword, unescaped(text)];
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescaped(text: string): string {
  return text.replaceAll(
    /&(?:#x([\da-f]{1,6})|#(\d{1,7})|(\w+));/gi,
    (whole, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return NAMED[name] ?? whole;
      const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}
