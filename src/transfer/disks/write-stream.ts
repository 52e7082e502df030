/** The disk of Tart's first version, of which all blobs are here: one stream, decoded from its start on, to a file with holes. */
import type { StreamedDisk } from "../../codec/tart/disk-image.ts";
import { Digester, type Digest } from "../../oci/digest.ts";
import type { DiskContent, DiskWindow, PartialDisk } from "../../store/disks/types.ts";
import type { TransferContext } from "../context.ts";
import { DiskMeter } from "./disk-meter.ts";
import { namePieces, streamedBytes, type StreamPiece } from "./name-chunks.ts";
import { openPartial } from "./open-disks.ts";

export interface WriteStreamOptions {
  readonly key: Digest;
  readonly wait: boolean;
  /** As in `OpenOptions`. Default false. */
  readonly anew?: boolean | undefined;
  readonly signal: AbortSignal;
}

/** @returns bytes of the disk that an earlier try had left */
export async function writeStream(
  context: TransferContext,
  disk: StreamedDisk,
  { key, wait, anew, signal }: WriteStreamOptions,
): Promise<number> {
  const pieces = await namePieces(context.store, disk, signal);
  const size = bytesOf(pieces);
  const found = await openPartial(context, { key, size }, { wait, anew, signal });
  if (!("window" in found)) return 0;
  await using partial = found;
  const meter = new DiskMeter(key, size, context.onProgress);
  const contents = pieces.filter(({ isZeros }) => !isZeros);
  const left = bytesOf(contents.filter((piece) => partial.isDone(piece)));
  meter.here(left);
  meter.holes(size - bytesOf(contents));
  meter.start();
  const writer = new PieceWindows(partial, pieces, meter);
  try {
    for await (const bytes of streamedBytes(context.store, disk, signal)) await writer.write(bytes);
  } finally {
    await writer.close();
  }
  await partial.commit(contents);
  meter.finish();
  return left;
}

function bytesOf(pieces: readonly DiskContent[]): number {
  return pieces.reduce((sum, { size }) => sum + size, 0);
}

/** Cuts what comes into the disk's pieces; those that are done, or holes, go by. */
class PieceWindows {
  readonly #partial: PartialDisk;
  readonly #pieces: readonly StreamPiece[];
  readonly #meter: DiskMeter;
  #piece = 0;
  #window: DiskWindow | undefined;
  #digester = new Digester();
  #at = 0;

  constructor(partial: PartialDisk, pieces: readonly StreamPiece[], meter: DiskMeter) {
    this.#partial = partial;
    this.#pieces = pieces;
    this.#meter = meter;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length;) {
      const piece = this.#pieces[this.#piece]!;
      const part = bytes.subarray(from, from + piece.size - this.#at);
      if (this.#at === 0 && !piece.isZeros && !this.#partial.isDone(piece)) {
        this.#window = await this.#partial.window(piece);
        this.#digester = new Digester();
      }
      if (this.#window !== undefined) await this.#put(this.#window, part);
      from += part.length;
      this.#at += part.length;
      if (this.#at === piece.size) await this.#end();
    }
  }

  async close(): Promise<void> {
    await this.#window?.[Symbol.asyncDispose]();
  }

  async #put(window: DiskWindow, part: Uint8Array): Promise<void> {
    this.#digester.update(part);
    await window.write(this.#at, part);
    this.#meter.written(part.length);
  }

  async #end(): Promise<void> {
    const { size } = this.#digester;
    await this.#window?.commit({ digest: this.#digester.digest(), size });
    await this.close();
    this.#window = undefined;
    this.#piece++;
    this.#at = 0;
  }
}
