/**
 * Memory through which files go out to clients, one buffer to a response at a time. A few large ones are shared, because each chunk costs
 * as much work whatever its size (measured: 1.5 s of CPU for a GB in chunks of 64 KiB, 0.5 s in chunks of 512 KiB); whoever finds none gets a
 * small one of its own. So a thousand clients that read nothing hold tens of megabytes, and none of them holds up the others.
 */
const LARGE_BYTES = 512 * 1024;
const SMALL_BYTES = 64 * 1024;
const MAX_LARGE = 32;
/** What stays when nothing is being sent. */
const MAX_IDLE = 8;

export class SendBuffers {
  readonly #idle: Buffer[] = [];
  #lent = 0;

  /** @param wanted bytes; the buffer may be shorter or longer. It is to be given back or dropped. */
  take(wanted: number): Buffer {
    if (wanted <= SMALL_BYTES || this.#lent >= MAX_LARGE) return Buffer.allocUnsafeSlow(Math.min(wanted, SMALL_BYTES));
    this.#lent += 1;
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES);
  }

  /** Nobody reads or writes it any more. */
  give(buffer: Buffer): void {
    if (this.drop(buffer) && this.#idle.length < MAX_IDLE) this.#idle.push(buffer);
  }

  /** Somebody may still look at it: a connection that was broken off. @returns whether it was one that is shared */
  drop(buffer: Buffer): boolean {
    if (buffer.length !== LARGE_BYTES) return false;
    this.#lent -= 1;
    return true;
  }
}
