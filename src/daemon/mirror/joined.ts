/** Work that many ask for at once and that is done once for all of them. Whoever leaves, leaves the others what they wait for. */
import { untilAborted } from "../../registry/until-aborted.ts";

export interface Shared<T> {
  readonly value: T;
  /** Whether it was under way already. */
  readonly joined: boolean;
}

export class Joined<T> {
  readonly #running = new Map<string, Promise<T>>();

  /**
   * @param work is not told when the asker leaves, for others may have come by then
   * @throws what the work throws; the signal's reason
   */
  async get(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<Shared<T>> {
    signal.throwIfAborted();
    const running = this.#running.get(key);
    const promise = running ?? this.#start(key, work);
    return { value: await untilAborted(promise, signal), joined: running !== undefined };
  }

  #start(key: string, work: () => Promise<T>): Promise<T> {
    const promise = work().finally(() => this.#running.delete(key));
    this.#running.set(key, promise);
    return promise;
  }
}
