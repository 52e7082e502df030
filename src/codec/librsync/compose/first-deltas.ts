/** Reads what the middle file is made of, part by part, into an index; and its literals again later, at their places in the deltas. */
import { setImmediate as turn } from "node:timers/promises";
import { VarveError } from "../../../errors/varve-error.ts";
import type { Base } from "../base.ts";
import { DeltaParser } from "../delta-parser.ts";
import { badDelta } from "../fault.ts";
import type { CommandIndex } from "./command-index.ts";

/** A part of the middle file. */
export type MiddlePart =
  /** What this delta makes of the old file. */
  | {
      readonly kind: "delta";
      /** The delta's file, which is read now and, where it has literals, later. */
      readonly delta: Base;
      /** Bytes that it makes, where that is known. */
      readonly size?: number | undefined;
    }
  /** Bytes of the old file as they are. */
  | { readonly kind: "same"; readonly start: number; readonly length: number };

export interface ReadPartsOptions {
  /** Bytes of the old file. Default: not known, and not checked. */
  readonly baseSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const READ_BYTES = 256 << 10;

/**
 * @returns where in the middle file each part ends
 * @throws VarveError `DELTA_INVALID`, `DELTA_BASE_DIFFERS`, `DELTA_LIMIT`; what the files throw; the signal's reason
 */
export async function readParts(
  parts: readonly MiddlePart[],
  index: CommandIndex,
  options: ReadPartsOptions = {},
): Promise<number[]> {
  const ends: number[] = [];
  let before = 0;
  for (const part of parts) {
    const made = index.size;
    if (part.kind === "delta") {
      await readPart(part.delta, before, index, options);
      before += part.delta.size;
      checkSize(part, index.size - made);
    } else if (part.length > 0) index.add(part.start, part.length);
    ends.push(index.size);
  }
  await index.close();
  return ends;
}

function checkSize({ delta, size }: MiddlePart & { readonly kind: "delta" }, made: number): void {
  if (size !== undefined && size !== made) throw badDelta(`makes ${made} bytes and should make ${size}`, delta.size);
}

/** @param before bytes of the deltas before this one */
async function readPart(
  delta: Base,
  before: number,
  index: CommandIndex,
  { baseSize = Number.MAX_SAFE_INTEGER, signal }: ReadPartsOptions,
): Promise<void> {
  const parser = new DeltaParser();
  const memory = new Uint8Array(Math.min(READ_BYTES, Math.max(1, delta.size)));
  for (let at = 0; at < delta.size && !parser.isEnded;) {
    const chunk = memory.subarray(0, Math.min(memory.length, delta.size - at));
    await delta.read(chunk, at);
    parser.give(chunk);
    for (let kind = parser.next(); kind !== undefined; kind = parser.next()) {
      if (kind === "literal") index.add(-1 - (before + at + parser.from), parser.to - parser.from);
      else if (parser.start + parser.length > baseSize) {
        const message = `the first delta copies ${parser.length} bytes from ${parser.start} on, and its base has ${baseSize}`;
        throw new VarveError("DELTA_BASE_DIFFERS", message);
      } else index.add(parser.start, parser.length);
      if (!Number.isSafeInteger(index.size)) throw badDelta("makes more bytes than there can be", at + parser.from);
      if (index.isFull) await index.makeRoom();
    }
    at += chunk.length;
    signal?.throwIfAborted();
    await turn();
  }
  parser.end();
}

/** The deltas' files one behind the other, as the literals' places are counted. */
export function filesOf(parts: readonly MiddlePart[]): Base {
  const files: { readonly start: number; readonly delta: Base }[] = [];
  let size = 0;
  for (const part of parts) {
    if (part.kind !== "delta") continue;
    files.push({ start: size, delta: part.delta });
    size += part.delta.size;
  }
  return {
    size,
    async read(into, position) {
      const end = position + into.length;
      for (const { start, delta } of files) {
        const [from, to] = [Math.max(position, start), Math.min(end, start + delta.size)];
        if (from < to) await delta.read(into.subarray(from - position, to - position), from - start);
      }
    },
  };
}
