/** What this machine holds, looked at when a layer is to be made of it: most pulls never do, and load nothing of it. */
import type { Store } from "../store/store.ts";
import type { PullSources, PullSourcesOptions } from "./chunked/pull-sources.ts";

export class SourcesOnDemand implements AsyncDisposable {
  readonly #options: PullSourcesOptions;
  #opening: Promise<PullSources> | undefined;

  /** @param options as those of `PullSources` */
  constructor(store: Store, options: Omit<PullSourcesOptions, "store"> = {}) {
    this.#options = { store, ...options };
  }

  readonly open = (): Promise<PullSources> => {
    this.#opening ??= import("./chunked/pull-sources.ts").then(({ PullSources }) => new PullSources(this.#options));
    return this.#opening;
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#opening)?.[Symbol.asyncDispose]();
  }
}
