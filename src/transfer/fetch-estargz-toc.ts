/** Gets the table of contents of an eStargz layer (formats "estargz" §2, §3): the footer at the blob's end tells where it is. */
import { decompress } from "../codec/decompress.ts";
import type { EstargzAnnotations } from "../codec/estargz/annotations.ts";
import { parseEstargzFooter } from "../codec/estargz/footer.ts";
import { ESTARGZ_TOC_NAME, MemberTocReader, type MemberToc } from "../codec/estargz/member-toc.ts";
import { TarParser } from "../codec/tar/parser.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestAlgorithm, Digester } from "../oci/digest.ts";
import type { FetchTocOptions } from "./fetch-toc.ts";
import { once } from "./packed-document.ts";
import { readRange } from "./read-range.ts";
import type { TocRoom } from "./toc-room.ts";

export interface FetchedMemberToc {
  readonly toc: MemberToc;
  /** The members with the table of contents, which are the end of the tar. */
  readonly tail: Uint8Array;
}

/** What is fetched at first: the tables of most layers are no larger, and then it is all. */
export const TAIL_BYTES = 32 * 1024;
const MAX_PACKED_BYTES = 32 << 20;
const MAX_TOC_BYTES = 256 << 20;
const PIECE_BYTES = 256 * 1024;

/** @throws TOC_INVALID, TOC_LIMIT, DIGEST_MISMATCH, COMPRESSION_INVALID, LAYER_INVALID; RANGE_UNSUPPORTED, REGISTRY_* ... */
export async function fetchEstargzToc(
  blob: Descriptor,
  { tocDigest }: EstargzAnnotations,
  options: FetchTocOptions,
  room: TocRoom,
): Promise<FetchedMemberToc> {
  const tailStart = Math.max(0, blob.size - TAIL_BYTES);
  const end = await readRange(options, blob, tailStart, blob.size);
  const footer = parseEstargzFooter(end);
  if (footer === undefined) throw new VarveError("TOC_INVALID", "the layer's blob has no footer of eStargz");
  if (footer.kind === "external") {
    throw new VarveError("TOC_INVALID", "the layer's table of contents is in another image");
  }
  const { tocOffset } = footer;
  if (tocOffset > blob.size - footer.length)
    throw new VarveError("TOC_INVALID", "the layer's footer points beyond its blob");
  if (blob.size - tocOffset > MAX_PACKED_BYTES) {
    throw new VarveError("TOC_LIMIT", `the layer's table of contents has ${blob.size - tocOffset} bytes`);
  }
  room.take(blob.size - tocOffset);
  const tail =
    tocOffset >= tailStart
      ? Uint8Array.from(end.subarray(tocOffset - tailStart))
      : Buffer.concat([await readRange(options, blob, tocOffset, tailStart), end]);
  const reader = new MemberTocReader(tocOffset, { onGrow: (bytes) => room.take(bytes) });
  const digester = new Digester(digestAlgorithm(tocDigest));
  await readTail(tail, options.signal, (bytes) => {
    digester.update(bytes);
    reader.write(bytes);
  });
  if (digester.digest() !== tocDigest) {
    const message = "the layer's table of contents is not what its digest says";
    throw new VarveError("DIGEST_MISMATCH", message, { detail: { expected: tocDigest } });
  }
  return { toc: reader.finish(), tail };
}

/** Hands on the content of the only member of a tar, which must have the right name. */
async function readTail(tail: Uint8Array, signal: AbortSignal, onData: (bytes: Uint8Array) => void): Promise<void> {
  let members = 0;
  const parser = new TarParser({
    entry({ name, storedSize }) {
      if (name !== ESTARGZ_TOC_NAME || ++members > 1)
        throw new VarveError("TOC_INVALID", "the layer ends in something else than its table of contents");
      if (storedSize > MAX_TOC_BYTES)
        throw new VarveError("TOC_LIMIT", `the layer's table of contents has ${storedSize} bytes`);
    },
    data: onData,
    endEntry: () => undefined,
  });
  let left = MAX_TOC_BYTES + PIECE_BYTES;
  for await (const piece of decompress(once(tail), { compression: "gzip", chunkSize: PIECE_BYTES, signal })) {
    left -= piece.length;
    if (left < 0) throw new VarveError("TOC_LIMIT", "the layer's table of contents does not end");
    parser.write(piece);
  }
  parser.end();
}
