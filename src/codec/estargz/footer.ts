/**
 * The end of an eStargz blob (formats "estargz" §3): an empty gzip member whose extra field says where the table of contents begins, or that it is
 * elsewhere. There are three kinds; the blob's last 51 bytes tell which one.
 */

export type EstargzFooter =
  | {
      readonly kind: "estargz" | "stargz";
      /** Bytes of the footer. */
      readonly length: number;
      /** Where the member with the table of contents begins. */
      readonly tocOffset: number;
    }
  | { readonly kind: "external"; readonly length: number };

const GZIP_HEADER = "1f8b08040000000000ff";
const EMPTY_TAIL = "010000ffff0000000000000000";
const EXTERNAL = "STARGZEXTERNALTOC";

/** Reads the footer at the end of `tail`, the blob's last bytes; undefined when there is none. */
export function parseEstargzFooter(tail: Uint8Array): EstargzFooter | undefined {
  const own = extraField(tail, 26);
  if (own?.startsWith("SG\x16\0") === true) return withOffset("estargz", 51, own.slice(4));
  const legacy = extraField(tail, 22);
  if (legacy !== undefined) return withOffset("stargz", 47, legacy);
  return extraField(tail, 21) === `SG\x11\0${EXTERNAL}` ? { kind: "external", length: 46 } : undefined;
}

/** The extra field of so many bytes, when the tail ends in an empty member that has one. */
function extraField(tail: Uint8Array, length: number): string | undefined {
  const total = 12 + length + 13;
  if (tail.length < total) return undefined;
  const member = Buffer.from(tail.subarray(-total));
  const isEmpty = member.toString("hex", 0, 10) === GZIP_HEADER && member.toString("hex", 12 + length) === EMPTY_TAIL;
  return isEmpty && member.readUInt16LE(10) === length ? member.toString("latin1", 12, 12 + length) : undefined;
}

function withOffset(kind: "estargz" | "stargz", length: number, field: string): EstargzFooter | undefined {
  const digits = /^([0-9a-f]{16})STARGZ$/.exec(field)?.[1];
  const tocOffset = digits === undefined ? Number.NaN : Number.parseInt(digits, 16);
  return Number.isSafeInteger(tocOffset) ? { kind, length, tocOffset } : undefined;
}
