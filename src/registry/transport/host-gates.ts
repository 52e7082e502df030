/**
 * How many requests a host is given at once, bodies included: as many as there may be connections, until the host says that it
 * is asked too much; then half as many as it had, and one more after each while in which it did not complain: additive
 * increase, multiplicative decrease, as in TCP.
 *
 * Never a deadlock: whoever holds a body may need another request to get on with it, so a body counts only while somebody
 * reads it. One that was left alone for {@link IDLE_MS} holds nobody up; one that is being read ends, by its server or by
 * a time-out.
 */
import type { TransportEvent } from "../blob-source.ts";
import type { Clock } from "../clock.ts";

export const IDLE_MS = 1000;
/** So long without a complaint, and with success, allows one more. */
export const RAISE_MS = 10_000;

/** A request that was let through, to the end of its body. */
export interface Admission {
  /** The reader is at something else. */
  pause(): void;
  /** The reader is back, and wants more: what it got was a success. */
  resume(): void;
  /** The host answered that it is asked too much. */
  throttled(): void;
  /** It is over; again does nothing. */
  leave(): void;
}

export interface EnterOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: TransportEvent) => void) | undefined;
}

export interface GateOptions {
  /** As many as a host gets that does not complain. */
  readonly connections: number;
  readonly clock: Clock;
}

export class HostGates {
  readonly #options: GateOptions;
  readonly #gates = new Map<string, HostGate>();

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Waits until the host may be asked, in the order of coming. @throws the signal's reason when aborted */
  async enter(host: string, options: EnterOptions = {}): Promise<Admission> {
    const gate = this.#gates.get(host) ?? new HostGate(host, this.#options);
    this.#gates.set(host, gate);
    return await gate.enter(options, () => {
      if (gate.isForgettable && this.#gates.get(host) === gate) this.#gates.delete(host);
    });
  }
}

class HostGate {
  readonly host: string;
  readonly #connections: number;
  readonly #clock: Clock;
  readonly #inside = new Set<Guest>();
  readonly #waiting: (() => void)[] = [];
  #limit: number;
  /** Grows with each decrease: what was asked before it and is refused after it tells nothing new. */
  #era = 0;
  #changedAt = 0;
  /** The most that were inside at once in this era. */
  #peak = 0;
  #watching = false;

  constructor(host: string, { connections, clock }: GateOptions) {
    this.host = host;
    this.#connections = Math.max(1, connections);
    this.#limit = this.#connections;
    this.#clock = clock;
  }

  get era(): number {
    return this.#era;
  }

  /** Nothing is known about the host that a new gate would not know. */
  get isForgettable(): boolean {
    return this.#inside.size === 0 && this.#waiting.length === 0 && this.#limit === this.#connections;
  }

  now(): number {
    return this.#clock.now();
  }

  async enter({ signal, onEvent }: EnterOptions, onLeave: () => void): Promise<Admission> {
    signal?.throwIfAborted();
    const guest = new Guest(this, onEvent, onLeave);
    if (this.#waiting.length === 0 && this.#busy() < this.#limit) {
      this.#admit(guest);
      return guest;
    }
    const from = this.#clock.now();
    await this.#queue(guest, signal);
    onEvent?.({ type: "queued", host: this.host, ms: this.#clock.now() - from });
    return guest;
  }

  left(guest: Guest): void {
    this.#inside.delete(guest);
    this.#admitWaiting();
  }

  /** Once for all that were asked together. */
  lower(guest: Guest): void {
    if (guest.era !== this.#era) return;
    const previous = this.#limit;
    const limit = Math.max(1, Math.floor(Math.min(previous, this.#peak) / 2));
    this.#era++;
    this.#changedAt = this.#clock.now();
    this.#limit = limit;
    this.#peak = this.#busy();
    if (limit !== previous) guest.tell({ type: "throttle", host: this.host, limit, previous });
  }

  raise(guest: Guest): void {
    if (this.#limit === this.#connections || this.#clock.now() - this.#changedAt < RAISE_MS) return;
    const previous = this.#limit;
    const limit = previous + 1;
    this.#limit = limit;
    this.#changedAt = this.#clock.now();
    guest.tell({ type: "throttle", host: this.host, limit, previous });
    this.#admitWaiting();
  }

  /** A body was put aside: in a while it may be idle, and somebody who waits can go ahead. */
  watch(): void {
    if (this.#watching || this.#waiting.length === 0) return;
    const pausedAt = [...this.#inside].map((guest) => guest.pausedAt ?? Infinity).filter((at) => !this.#isIdle(at));
    const first = Math.min(...pausedAt);
    if (first === Infinity) return;
    this.#watching = true;
    const look = (): void => {
      this.#watching = false;
      this.#admitWaiting();
      this.watch();
    };
    void this.#clock.sleep(Math.max(1, first + IDLE_MS - this.#clock.now())).then(look, look);
  }

  async #queue(guest: Guest, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const admit = (): void => {
      this.#admit(guest);
      resolve();
    };
    const giveUp = (): void => {
      const place = this.#waiting.indexOf(admit);
      if (place === -1) return; // let through in the same turn: the request itself sees the signal
      this.#waiting.splice(place, 1);
      reject(signal?.reason);
    };
    this.#waiting.push(admit);
    this.watch();
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  #admit(guest: Guest): void {
    guest.era = this.#era;
    this.#inside.add(guest);
    this.#peak = Math.max(this.#peak, this.#busy());
  }

  #admitWaiting(): void {
    while (this.#waiting.length > 0 && this.#busy() < this.#limit) this.#waiting.shift()?.();
  }

  #busy(): number {
    let count = 0;
    for (const { pausedAt } of this.#inside) if (pausedAt === undefined || !this.#isIdle(pausedAt)) count++;
    return count;
  }

  #isIdle(pausedAt: number): boolean {
    return this.#clock.now() - pausedAt >= IDLE_MS;
  }
}

class Guest implements Admission {
  era = 0;
  pausedAt: number | undefined;
  readonly #gate: HostGate;
  readonly #onEvent: EnterOptions["onEvent"];
  readonly #onLeave: () => void;
  #gone = false;

  constructor(gate: HostGate, onEvent: EnterOptions["onEvent"], onLeave: () => void) {
    this.#gate = gate;
    this.#onEvent = onEvent;
    this.#onLeave = onLeave;
  }

  tell(event: TransportEvent): void {
    this.#onEvent?.(event);
  }

  pause(): void {
    this.pausedAt = this.#gate.now();
    this.#gate.watch();
  }

  resume(): void {
    this.pausedAt = undefined;
    this.#gate.raise(this);
  }

  throttled(): void {
    this.#gate.lower(this);
  }

  leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#gate.left(this);
    this.#onLeave();
  }
}
