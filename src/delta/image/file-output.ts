/** A new file that is written from its beginning, whoever has it open. */
import { writeSync } from "node:fs";
import { toVarveError } from "../../errors/from-system.ts";

/** Bytes that follow each other in a file. Written at once: what waits for the disk is the system's, and a thread has nothing else to do. */
export class FileOutput {
  readonly #file: number;
  #size = 0;

  constructor(file: number) {
    this.#file = file;
  }

  get size(): number {
    return this.#size;
  }

  write(bytes: Uint8Array): void {
    try {
      for (let put = 0; put < bytes.length;) {
        const count = writeSync(this.#file, bytes, put, bytes.length - put, this.#size);
        put += count;
        this.#size += count;
      }
    } catch (error) {
      throw toVarveError(error, "writing a delta");
    }
  }
}
