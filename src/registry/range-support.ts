/** What was learned about ranges: per registry as it is named, per host that is connected to, per CDN host. */
export class RangeSupport {
  readonly #known = new Map<string, boolean>();

  learn(hosts: readonly string[], supported: boolean): void {
    for (const host of hosts) this.#known.set(host, supported);
  }

  /** Undefined when no range was asked of the host yet. */
  of(host: string): boolean | undefined {
    return this.#known.get(host);
  }
}
