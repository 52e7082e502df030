/**
 * The pool of layer threads, loaded when the first layer comes: a pull that finds everything in the store needs none, and loading
 * the pool would cost it more than its own work.
 */
import type { LayerCheck } from "../layer/check-layer.ts";
import type { RecompressedLayer, RecompressLayerOptions } from "../layer/recompress-layer.ts";
import type { LayerTarget, UnpackedLayer } from "../layer/layer-target.ts";
import { TarStream, type TarStreamOptions } from "../layer/tar-stream.ts";
import type { FrontFile, LayerThreads, UnpackLayerOptions } from "../layer/threads.ts";
import type { LayerPool, LayerPoolOptions } from "./layer-pool.ts";

export class ThreadsOnDemand implements LayerThreads {
  readonly #options: LayerPoolOptions;
  #pool: Promise<LayerPool> | undefined;

  constructor(options: LayerPoolOptions = {}) {
    this.#options = options;
  }

  async check(file: FrontFile, options: TarStreamOptions): Promise<LayerCheck> {
    return (await this.#load()).check(file, options);
  }

  async unpack(file: FrontFile, target: LayerTarget, options: UnpackLayerOptions): Promise<UnpackedLayer> {
    return (await this.#load()).unpack(file, target, options);
  }

  async recompress(file: FrontFile, output: number, options: RecompressLayerOptions): Promise<RecompressedLayer> {
    return (await this.#load()).recompress(file, output, options);
  }

  open(blob: { readonly path: string; readonly size: number }, options: TarStreamOptions): TarStream {
    // At once, so that bytes are ahead when the first is asked for; a failure is for whoever asks.
    const opening = this.#load().then((pool) => pool.open(blob, options));
    opening.catch(() => undefined);
    return new TarStream(async function* (stream) {
      const source = await opening;
      yield* source;
      stream.ended(source.diffId);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#pool)?.[Symbol.asyncDispose]();
  }

  #load(): Promise<LayerPool> {
    this.#pool ??= import("./layer-pool.ts").then(({ LayerPool }) => new LayerPool(this.#options));
    return this.#pool;
  }
}
