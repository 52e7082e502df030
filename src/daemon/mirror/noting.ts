/**
 * What a mirror writes down while it answers. A client that was promised nothing of it gets his answer all the same when the disk is full, or another
 * process is writing: it is asked for again, and then written down.
 */
import { isVarveError } from "../../errors/varve-error.ts";
import type { Log } from "../daemon.ts";

const NOT_STORED: ReadonlySet<string> = new Set(["STORE_BUSY", "STORE_READ_ONLY", "NO_SPACE", "PERMISSION", "IO"]);

/** Whether it stands in the way of storing and not of sending. */
export function isStoreTrouble(error: unknown): boolean {
  return isVarveError(error) && NOT_STORED.has(error.code);
}

/** @returns what the work gives; undefined when it could not be written @throws what else goes wrong */
export async function noted<T>(log: Pick<Log, "warn">, what: object, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isStoreTrouble(error)) throw error;
    log.warn({ ...what, error }, "the mirror could not write down what it has");
    return undefined;
  }
}
