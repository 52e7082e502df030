/** Layers that were inflated to read them: each once, however many open it, at the same time or one after the other. */
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { FileTar } from "../../layer/seekable/file-tar.ts";
import type { SeekableTar } from "../../layer/seekable/seekable-tar.ts";
import type { Digest } from "../../oci/digest.ts";
import type { UnnamedFile } from "../commit/unnamed-file.ts";
import { inflateLayer, type InflateOptions } from "./inflate-layer.ts";
import type { LayerForm } from "./layer-form.ts";

type Blob = LayerForm & { readonly kind: "blob" };

export class InflatedLayers implements AsyncDisposable {
  readonly #directory: string;
  readonly #signal: AbortSignal;
  readonly #inflations = new Map<Digest, Inflation>();
  #isClosed = false;

  /** @param directory on the file system that has the room */
  constructor(directory: string, signal: AbortSignal) {
    this.#directory = directory;
    this.#signal = signal;
  }

  /** @param signal for who waits; the inflation goes on for others who do @throws VarveError as `inflateLayer` */
  async open(blob: Blob, diffId: Digest, signal?: AbortSignal): Promise<SeekableTar> {
    const inflation = this.#inflations.get(diffId) ?? this.#begin(blob, diffId);
    inflation.waiting++;
    try {
      const file = await unlessAborted(inflation.file, signal);
      // A descriptor of its own for each: the one may be closed while the other is read.
      return await FileTar.open(file.path, { name: `the tar of ${diffId}`, follow: true });
    } finally {
      inflation.waiting--;
      if (inflation.waiting === 0 && !inflation.isDone) this.#forget(diffId, inflation);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const inflations = [...this.#inflations];
    for (const [diffId, inflation] of inflations) this.#forget(diffId, inflation);
    await Promise.all(inflations.map(([, { ended }]) => ended));
  }

  #begin(blob: Blob, diffId: Digest): Inflation {
    if (this.#isClosed) throw new VarveError("INTERNAL", "a layer was to be inflated for who has ended");
    const inflation = new Inflation(blob, { diffId, directory: this.#directory, signal: this.#signal });
    this.#inflations.set(diffId, inflation);
    inflation.file.catch(() => this.#forget(diffId, inflation));
    return inflation;
  }

  #forget(diffId: Digest, inflation: Inflation): void {
    if (this.#inflations.get(diffId) === inflation) this.#inflations.delete(diffId);
    inflation.end();
  }
}

class Inflation {
  readonly file: Promise<UnnamedFile>;
  /** Settles when nothing of it is left. */
  readonly ended: Promise<void>;
  readonly #end = new AbortController();
  waiting = 0;
  isDone = false;

  constructor(blob: Blob, { signal, ...options }: InflateOptions) {
    const end = this.#end.signal;
    this.file = inflateLayer(blob, { ...options, signal: AbortSignal.any([signal, end]) });
    const isEnded = new Promise((resolve) => end.addEventListener("abort", resolve, { once: true }));
    this.ended = this.#hold(isEnded);
  }

  /** Nobody waits for it any more, or all are done with it. */
  end(): void {
    this.#end.abort();
  }

  async #hold(isEnded: Promise<unknown>): Promise<void> {
    const file = await this.file.catch(() => undefined);
    if (file === undefined) return;
    this.isDone = true;
    await isEnded;
    await file[Symbol.asyncDispose]();
  }
}

/** @throws VarveError `INTERRUPTED` as soon as it is aborted, whatever becomes of the promise */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(toVarveError(signal.reason, "inflating a layer"));
  signal.addEventListener("abort", onAbort);
  try {
    if (signal.aborted) onAbort();
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
