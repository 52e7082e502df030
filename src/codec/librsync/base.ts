/** The old file: where its bytes are read from, in any order. */
import type { FileHandle } from "node:fs/promises";
import { VarveError } from "../../errors/varve-error.ts";

export interface Base {
  /** Bytes. */
  readonly size: number;
  /** Fills all of `into` with the bytes from `position` on, which the base has. @throws what went wrong */
  read(into: Uint8Array, position: number): Promise<void>;
}

export function memoryBase(bytes: Uint8Array): Base {
  return {
    size: bytes.length,
    read: (into, position) => Promise.resolve(into.set(bytes.subarray(position, position + into.length))),
  };
}

/**
 * A file that stays open as long as the base is used. Reading throws `SOURCE_CHANGED` when it has become shorter.
 * @param path for messages
 */
export function fileBase(handle: FileHandle, size: number, path: string): Base {
  return {
    size,
    async read(into, position) {
      for (let at = 0; at < into.length;) {
        const { bytesRead } = await handle.read(into, at, into.length - at, position + at);
        if (bytesRead === 0) throw new VarveError("SOURCE_CHANGED", `${path} became shorter while it was read`);
        at += bytesRead;
      }
    },
  };
}
