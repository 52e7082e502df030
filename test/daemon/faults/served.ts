/** The daemon of a trial: its process, and after a death the next one on the same store. */
import { join } from "node:path";
import { startServe, type ServeProcess } from "../../kit/daemon/serve-process.ts";
import type { Upstream } from "./upstream.ts";

export interface TrialOptions {
  readonly seed: number;
  /** For the registry and the store. */
  readonly dir: string;
  /** Steps of all clients together; one may take several requests. */
  readonly requests: number;
  readonly kills: number;
  readonly clients: number;
  /** `none` or `copy`. */
  readonly snapshotter: "none" | "copy";
  /** Bytes that the mirror may keep. Default: no limit. */
  readonly keepBytes?: number;
}

/** The daemon's process, and the one after it. */
export class Served implements AsyncDisposable {
  readonly #options: TrialOptions;
  readonly #upstream: Upstream;
  #running: Promise<ServeProcess> | undefined;
  #said = "";
  kills = 0;

  constructor(options: TrialOptions, upstream: Upstream) {
    this.#options = options;
    this.#upstream = upstream;
  }

  async host(): Promise<string> {
    return (await this.#running!).host;
  }

  said(): string {
    return this.#said;
  }

  async start(): Promise<void> {
    const { dir, snapshotter, keepBytes } = this.#options;
    this.#running = startServe({
      root: join(dir, "store"),
      args: [
        "--snapshotter",
        snapshotter,
        "--retry-max-time",
        "20",
        "--allow-push",
        "--mirror",
        this.#upstream.proxy.host,
      ],
      env: keepBytes === undefined ? {} : { VARVE_MIRROR_KEEP_BYTES: String(keepBytes) },
    });
    await this.#running;
  }

  /** @param between runs while there is no daemon */
  async killAndRestart(between: () => Promise<void>): Promise<void> {
    const running = await this.#running!;
    let up: () => void = () => undefined;
    let failed: (error: unknown) => void = () => undefined;
    const next = new Promise<void>((resolve, reject) => ([up, failed] = [resolve, reject]));
    next.catch(() => undefined);
    this.#running = next.then(() => this.#running!);
    this.kills += 1;
    try {
      await this.#end(running, "SIGKILL");
      await between();
      await this.start();
      up();
    } catch (error) {
      failed(error);
      throw error;
    }
  }

  /** In good order. @returns its exit code */
  async stop(): Promise<number> {
    return this.#end(await this.#running!, "SIGTERM");
  }

  async #end(running: ServeProcess, signal: NodeJS.Signals): Promise<number> {
    running.kill(signal);
    const { code } = await running.result;
    this.#said = running.said();
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = await this.#running?.catch(() => undefined);
    await running?.[Symbol.asyncDispose]();
  }
}
