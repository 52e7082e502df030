/** Files and deltas for tests of deltas: commands as they are wanted, in the place of what a comparison would find. */
import { DeltaWriter } from "../../src/codec/librsync/delta-writer.ts";

/** A literal, or a copy. */
export type Command = Uint8Array | readonly [start: number, length: number];

/** Bytes that do not compress, the same each time. */
export function random(length: number, seed = 1): Buffer {
  let state = seed;
  return Buffer.from(
    Uint8Array.from({ length }, () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0) >>> 24),
  );
}

export function deltaOf(commands: readonly Command[]): Buffer {
  const writer = new DeltaWriter();
  for (const command of commands) {
    if (command instanceof Uint8Array) writer.literal(command);
    else writer.copy(...command);
  }
  writer.end();
  return Buffer.concat(writer.take());
}
