/** Counts what a file is made of and what it comes to, and tells of it, where it is known how much there is to do. */
import { CopyMeter } from "../../disk/copy-meter.ts";
import type { RdiffOptions } from "./options.ts";

export class FileMeter {
  readonly #meter: CopyMeter | undefined;
  readonly #finish: () => void;
  #read = 0;
  #prepared = 0;
  #written = 0;

  /** @param path what is made @param total bytes that will be read */
  constructor(path: string, total: number | undefined, { onProgress }: RdiffOptions) {
    this.#finish = () => undefined;
    if (total === undefined || onProgress === undefined) return;
    const copied = (): number => this.#written;
    this.#meter = new CopyMeter({ path, phase: "copying", total, dataBytes: total, emit: onProgress, copied });
    this.#finish = () => {
      const ended = { done: total, total, copied: this.#written, bytesPerSecond: 0, etaSeconds: 0 };
      onProgress({ type: "disk", path, phase: "done", ...ended });
    };
  }

  /** Bytes of the stream that was read. */
  get bytesRead(): number {
    return this.#read;
  }

  async *read(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of stream) {
      this.#read += piece.length;
      this.#meter?.advance(piece.length, piece.length);
      yield piece;
    }
  }

  /** So many bytes were read of what is read beforehand. */
  prepared(bytes: number): void {
    this.#meter?.advance(bytes - this.#prepared, bytes - this.#prepared);
    this.#prepared = bytes;
  }

  async *written(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of pieces) {
      this.#written += piece.length;
      yield piece;
    }
  }

  finish(): void {
    this.#finish();
  }
}
