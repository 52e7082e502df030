/**
 * What all assemblies of a run share: how many transfers go on at once, and how much memory they may hold. A slot is the
 * right to one transfer together with the buffers it works in, so memory is bounded by construction: nobody who holds
 * memory ever waits for more of it. Slots are given in the order of asking within a priority.
 */
const BUFFERS_PER_SLOT = 3;
const MIN_BUFFER = 64 << 10;
const MAX_BUFFER = 512 << 10;
const BLOCK = 4096;

export interface BudgetOptions {
  /** Transfers at once. Default 4. */
  readonly concurrency?: number;
  /** Bytes for all their buffers. Default 64 MiB; less than 192 KiB counts as that. */
  readonly memoryBytes?: number;
}

export interface AcquireOptions {
  readonly signal?: AbortSignal;
  /** Lower is served first. Default 0. The lowest missing layer should come first: unpacking waits for it. */
  readonly priority?: number;
}

/** The right to one transfer, and the three buffers to do it in. Give it back with `using` or `release()`. */
export interface TransferSlot extends Disposable {
  readonly buffers: readonly Uint8Array[];
  release(): void;
}

interface Waiter {
  readonly priority: number;
  readonly grant: () => void;
}

export class TransferBudget {
  readonly concurrency: number;
  readonly bufferBytes: number;
  readonly #free: Uint8Array[][] = [];
  readonly #waiting: Waiter[] = [];
  #active = 0;
  #peak = 0;

  constructor({ concurrency = 4, memoryBytes = 64 << 20 }: BudgetOptions = {}) {
    const affordable = Math.floor(memoryBytes / (BUFFERS_PER_SLOT * MIN_BUFFER));
    this.concurrency = Math.max(1, Math.min(Math.floor(concurrency) || 1, affordable));
    const share = Math.floor(memoryBytes / (this.concurrency * BUFFERS_PER_SLOT) / BLOCK) * BLOCK;
    this.bufferBytes = Math.min(MAX_BUFFER, Math.max(MIN_BUFFER, share));
  }

  /** Slots in use now. */
  get active(): number {
    return this.#active;
  }

  /** The most slots that were ever in use at once. */
  get peak(): number {
    return this.#peak;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Bytes of all buffers made so far; they are kept for reuse. */
  get memoryBytes(): number {
    return (this.#free.length + this.#active) * BUFFERS_PER_SLOT * this.bufferBytes;
  }

  /** Waits for a slot. @throws the signal's reason when aborted; the place in the queue is then given up */
  async acquire({ signal, priority = 0 }: AcquireOptions = {}): Promise<TransferSlot> {
    signal?.throwIfAborted();
    if (this.#active >= this.concurrency || this.#waiting.length > 0) await this.#queue(priority, signal);
    else this.#count();
    return this.#slot();
  }

  #count(): void {
    this.#active++;
    this.#peak = Math.max(this.#peak, this.#active);
  }

  async #queue(priority: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { priority, grant: resolve };
    const later = this.#waiting.findIndex((other) => other.priority > priority);
    this.#waiting.splice(later === -1 ? this.#waiting.length : later, 0, waiter);
    const giveUp = (): void => {
      const place = this.#waiting.indexOf(waiter);
      if (place === -1) return; // granted in the same turn: the slot is ours, and the caller sees the signal itself
      this.#waiting.splice(place, 1);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  #slot(): TransferSlot {
    const buffers =
      this.#free.pop() ?? Array.from({ length: BUFFERS_PER_SLOT }, () => Buffer.allocUnsafeSlow(this.bufferBytes));
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      this.#active--;
      this.#free.push(buffers);
      this.#next();
    };
    return { buffers, release, [Symbol.dispose]: release };
  }

  /** Hands a freed slot on at once, so that a newcomer cannot overtake those who wait. */
  #next(): void {
    const waiter = this.#waiting.shift();
    if (waiter === undefined) return;
    this.#count();
    waiter.grant();
  }
}
