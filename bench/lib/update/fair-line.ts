/**
 * The slow side of a shaped link: connections take turns, a small slice each, so that an answer of a few bytes does not wait behind
 * all of a long one; each slice takes its share of a second, and arrives half a round trip later.
 */
import type { Socket } from "node:net";

const SLICE_BYTES = 16 << 10;
/** Timers are late by so much, and what was due meanwhile goes at once. Milliseconds. */
const SLACK = 3;

/** One connection's bytes that wait for their turn. */
export interface Lane {
  readonly to: Socket;
  readonly waiting: Buffer[];
  /** Bytes among them. */
  bytes: number;
  /** Nothing more comes. */
  ended: boolean;
  /** Called when there is room for more. */
  readonly onRoom: () => void;
}

interface Slice {
  readonly due: number;
  readonly to: Socket;
  /** undefined: the end. */
  readonly bytes: Buffer | undefined;
}

export class FairLine {
  readonly #bytesPerMs: number;
  readonly #delay: number;
  readonly #lanes: Lane[] = [];
  readonly #flying: Slice[] = [];
  #free = 0;
  #sending = false;
  #landing = false;

  constructor(bitsPerSecond: number, delay: number) {
    this.#bytesPerMs = bitsPerSecond / 8000;
    this.#delay = delay;
  }

  /** To be called when a lane got bytes or its end. */
  wake(lane: Lane): void {
    if (!this.#lanes.includes(lane)) this.#lanes.push(lane);
    if (!this.#sending) this.#send();
  }

  #send(): void {
    this.#sending = false;
    const now = performance.now();
    this.#free = Math.max(this.#free, now - SLACK);
    while (this.#free <= now) {
      const lane = this.#lanes.shift();
      if (lane === undefined) return;
      this.#take(lane);
    }
    if (this.#lanes.length === 0) return;
    this.#sending = true;
    setTimeout(() => this.#send(), this.#free - now);
  }

  #take(lane: Lane): void {
    const { to, waiting } = lane;
    const first = waiting.shift();
    if (first !== undefined) {
      const bytes = first.subarray(0, SLICE_BYTES);
      if (bytes.length < first.length) waiting.unshift(first.subarray(bytes.length));
      lane.bytes -= bytes.length;
      this.#free += bytes.length / this.#bytesPerMs;
      this.#fly({ due: this.#free + this.#delay, to, bytes });
      lane.onRoom();
    }
    if (waiting.length > 0) this.#lanes.push(lane);
    else if (lane.ended) this.#fly({ due: this.#free + this.#delay, to, bytes: undefined });
  }

  #fly(slice: Slice): void {
    this.#flying.push(slice);
    if (!this.#landing) this.#land();
  }

  #land(): void {
    this.#landing = false;
    const now = performance.now();
    for (let next = this.#flying[0]; next !== undefined; next = this.#flying[0]) {
      if (next.due > now) {
        this.#landing = true;
        setTimeout(() => this.#land(), next.due - now);
        return;
      }
      this.#flying.shift();
      if (next.to.destroyed) continue;
      if (next.bytes === undefined) next.to.end();
      else next.to.write(next.bytes);
    }
  }
}
