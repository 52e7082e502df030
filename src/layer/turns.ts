/**
 * Whose turn it is to unpack. There are so many places; who has a place works, and gives it up whenever it has to wait for the network,
 * so that no place is ever held for nothing. Of those that wait, the one with the most left to do goes first: it is the longest way to
 * the end (formats "Pull pipelines", weak points "permits" and "priority").
 */
import type { FrontFile } from "./threads.ts";

/** A job that has bytes again begins only when so many more are here, or all: taking turns costs more than the last few are worth. */
const STEP_BYTES = 256 << 10;

interface Waiter {
  readonly left: number;
  /** Where it has to be, once it has begun somewhere. */
  readonly place: number | undefined;
  readonly sit: (place: number) => void;
}

/** Places are numbered from 0, for who ties them to threads. */
export class Turns {
  /** How many jobs belong to each place, whether they have it or not. */
  readonly #members: number[];
  readonly #taken: boolean[];
  readonly #waiters = new Set<Waiter>();

  /** @param places jobs at once, at least 1 */
  constructor(places: number) {
    this.#members = Array.from({ length: places }, () => 0);
    this.#taken = this.#members.map(() => false);
  }

  /** Of a job that begins. Dispose of it when the job is over. */
  join(): Member {
    return new Member(this);
  }

  /** @internal A place for a job with so much left to do. @returns its number */
  async take(left: number, place: number | undefined, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const waiter = { left, place, sit: resolve };
    const onAbort = (): void => {
      if (this.#waiters.delete(waiter)) reject(signal.reason as Error);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiters.add(waiter);
    this.#seat();
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** @internal */
  give(place: number): void {
    this.#taken[place] = false;
    this.#seat();
  }

  /** @internal */
  leave(place: number): void {
    this.#members[place] = (this.#members[place] ?? 1) - 1;
  }

  #seat(): void {
    for (const waiter of [...this.#waiters].sort((a, b) => b.left - a.left)) {
      const place = waiter.place ?? this.#emptiest();
      if (place === undefined || this.#taken[place] === true) continue;
      this.#waiters.delete(waiter);
      this.#taken[place] = true;
      if (waiter.place === undefined) this.#members[place] = (this.#members[place] ?? 0) + 1;
      waiter.sit(place);
    }
  }

  /** The free place with the fewest jobs that are bound to come back to it. */
  #emptiest(): number | undefined {
    let best: number | undefined;
    for (const [place, members] of this.#members.entries()) {
      if (this.#taken[place] !== true && (best === undefined || members < (this.#members[best] ?? 0))) best = place;
    }
    return best;
  }
}

/** One job's part in the turns. */
export class Member implements Disposable {
  readonly #turns: Turns;
  #place: number | undefined;
  #has = false;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /** Undefined before the first turn; then always the same. */
  get place(): number | undefined {
    return this.#place;
  }

  /** Whether it is this job's turn. */
  get hasTurn(): boolean {
    return this.#has;
  }

  /** Settles when it is this job's turn. @throws the signal's reason */
  async take(left: number, signal: AbortSignal): Promise<number> {
    if (!this.#has) {
      this.#place = await this.#turns.take(left, this.#place, signal);
      this.#has = true;
    }
    return this.#place ?? 0;
  }

  /** Lets another go on. */
  release(): void {
    if (!this.#has || this.#place === undefined) return;
    this.#has = false;
    this.#turns.give(this.#place);
  }

  [Symbol.dispose](): void {
    this.release();
    if (this.#place !== undefined) this.#turns.leave(this.#place);
    this.#place = undefined;
  }
}

/** The file as a job sees it that takes turns: whenever there is nothing to read, its turn is another's. */
export function inTurns(file: FrontFile, member: Member, signal: AbortSignal): FrontFile {
  const { path, size } = file;
  return {
    path,
    size,
    get front() {
      return member.hasTurn ? file.front : 0;
    },
    async waitFront(position) {
      if (member.hasTurn && file.front > position) return;
      member.release();
      if (size > 0) await file.waitFront(Math.min(position + STEP_BYTES, size) - 1, signal);
      await member.take(size - position, signal);
    },
  };
}
