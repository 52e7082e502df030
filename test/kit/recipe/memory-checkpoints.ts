/** Where streams can be taken up again, as a partial disk keeps it: in memory, for tests of plans and of the recipe engine. */
import { AppleLz4Decoder, type BlockBorder } from "../../../src/codec/apple-lz4/decoder.ts";
import type { DecoderCheckpoints } from "../../../src/store/disks/types.ts";

export class MemoryCheckpoints implements DecoderCheckpoints {
  /** In the order in which they were noted. */
  readonly noted: BlockBorder[];

  constructor(known: readonly BlockBorder[] = []) {
    this.noted = [...known];
  }

  before(front: number): BlockBorder | undefined {
    const reached = this.noted.filter(({ decoded }) => decoded <= front);
    return reached.toSorted((a, b) => a.decoded - b.decoded).at(-1);
  }

  note(border: BlockBorder): void {
    this.noted.push(border);
  }
}

/** All borders of a stream but those at its start and its end. */
export function bordersOf(stream: Uint8Array): BlockBorder[] {
  const decoder = new AppleLz4Decoder();
  const borders = new Map<number, BlockBorder>();
  for (let at = 0; at < stream.length; at += 16) {
    for (const _ of decoder.write(stream.subarray(at, at + 16)));
    borders.set(decoder.border.encoded, decoder.border);
  }
  return [...borders.values()].filter(({ encoded, decoded }) => encoded > 0 && decoded > 0 && decoded < decoder.size);
}
