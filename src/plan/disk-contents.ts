/**
 * The contents that the disks of a virtual machine are made of, each once however often it occurs, as a table that this machine can be searched
 * for. Zeros are not among them: they are holes.
 */
import type { PieceTable } from "../codec/piece-table.ts";
import type { ChunkedDisk, DiskChunk } from "../codec/tart/disk-image.ts";
import type { Digest } from "../oci/digest.ts";
import type { DiskContent } from "../store/disks/types.ts";

/** Where a content belongs. */
export interface DiskPlace {
  /** Index of the disk among those that were given. */
  readonly disk: number;
  /** Of its first byte in that disk. */
  readonly offset: number;
}

/** Give it disks of which all chunks have digests, and get pieces by number, in the order in which the disks begin to need them. */
export class DiskContents implements PieceTable {
  readonly #disks: readonly ChunkedDisk[];
  readonly #pieces: { readonly chunk: DiskChunk & { readonly digest: Digest }; readonly places: DiskPlace[] }[] = [];
  #zeroBytes = 0;

  /** @param zeros digests of content that is nothing but zeros */
  constructor(disks: readonly ChunkedDisk[], zeros: ReadonlySet<Digest>) {
    this.#disks = disks;
    const numbers = new Map<Digest, number>();
    for (const [disk, { chunks }] of disks.entries()) {
      for (const chunk of chunks) {
        if (chunk.size === 0) continue;
        if (zeros.has(chunk.digest!)) this.#zeroBytes += chunk.size;
        else this.#add(numbers, { ...chunk, digest: chunk.digest! }, { disk, offset: chunk.offset });
      }
    }
  }

  get length(): number {
    return this.#pieces.length;
  }

  /** Bytes of all disks that are zeros. */
  get zeroBytes(): number {
    return this.#zeroBytes;
  }

  size(piece: number): number {
    return this.#pieces[piece]!.chunk.size;
  }

  digest(piece: number): Digest {
    return this.#pieces[piece]!.chunk.digest;
  }

  /** The disk that needs it first. */
  name(piece: number): string {
    return this.#disks[this.places(piece)[0]!.disk]!.name;
  }

  /** Its first occurrence; any other's blob may be another that holds the same. */
  chunk(piece: number): DiskChunk & { readonly digest: Digest } {
    return this.#pieces[piece]!.chunk;
  }

  /** At least one. */
  places(piece: number): readonly DiskPlace[] {
    return this.#pieces[piece]!.places;
  }

  #add(numbers: Map<Digest, number>, chunk: DiskChunk & { readonly digest: Digest }, place: DiskPlace): void {
    const known = numbers.get(chunk.digest);
    if (known !== undefined) this.#pieces[known]!.places.push(place);
    else numbers.set(chunk.digest, this.#pieces.push({ chunk, places: [place] }) - 1);
  }
}

/** The content with this number, as it lies in one of its places. */
export function contentAt(contents: DiskContents, piece: number, { offset }: DiskPlace): DiskContent {
  return { digest: contents.digest(piece), size: contents.size(piece), offset };
}
