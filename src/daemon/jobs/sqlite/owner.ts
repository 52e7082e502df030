/**
 * Who is alive: each process that opens the queue holds a lock of the kernel's on a file of its own, which ends with it, however it dies. So
 * what it was at is put back by whoever looks next, without waiting for a time to pass.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { tryLock, type FileLock } from "../../../sys/flock.ts";

const SUFFIX = ".lock";

export class Owner implements Disposable {
  readonly id = randomUUID();
  readonly #directory: string;
  readonly #lock: FileLock;

  constructor(directory: string) {
    this.#directory = join(directory, "owners");
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const taken = tryLock(this.#path(this.id));
    if (taken === undefined) throw new Error(`somebody has the lock of a name that was made a moment ago: ${this.id}`);
    this.#lock = taken;
  }

  /** Calls `bury` for another one that is dead, while nobody else can. @returns whether it is dead */
  ifDead(id: string, bury: () => void): boolean {
    if (id === this.id || !/^[0-9a-f-]{36}$/.test(id)) return false;
    const taken = tryLock(this.#path(id));
    if (taken === undefined) return false;
    try {
      bury();
    } finally {
      taken.unlock({ remove: true });
    }
    return true;
  }

  /** All that have left a file. */
  others(): string[] {
    const names = readdirSync(this.#directory).filter((name) => name.endsWith(SUFFIX));
    return names.map((name) => name.slice(0, -SUFFIX.length)).filter((id) => id !== this.id);
  }

  [Symbol.dispose](): void {
    this.#lock.unlock({ remove: true });
  }

  #path(id: string): string {
    return join(this.#directory, `${id}${SUFFIX}`);
  }
}
