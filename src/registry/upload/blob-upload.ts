/**
 * Sends a blob whatever breaks on the way: in one request, or in chunks where they are wanted; from the byte on that the registry
 * names after a break, and from the first one where it has lost the upload (distribution-spec "Pushing blobs").
 */
import { Attempts, type Caller } from "../attempts.ts";
import type { Settings } from "../options.ts";
import type { RateLimiter } from "../rate-limiter.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { interrupted, RegistryFailure } from "../transport/failure.ts";
import { networkFailure } from "../transport/network-failure.ts";
import type { OpenBlob, PutBlobOptions } from "./blob-sink.ts";
import { hasBlob } from "./has-blob.ts";
import { BodyTooLarge, startUpload, UploadLost, type Upload, type UploadContext } from "./upload.ts";
import { UploadSource } from "./upload-source.ts";

/** For registries that cannot take a blob at once. Below what services in front of them are known to allow (100 MB). */
const OWN_CHUNK = 64 * 1024 * 1024;
const SMALLEST_CHUNK = 64 * 1024;
/** So often are bytes sent that a registry does not keep; then they are sent in chunks, of which it keeps each. */
const MOST_IN_VAIN = 2;

export interface BlobUploadOptions extends PutBlobOptions {
  readonly settings: Settings;
  readonly limiter: RateLimiter | undefined;
  /** One that was begun already. */
  readonly started?: Upload | undefined;
}

export class BlobUpload {
  readonly #context: UploadContext;
  readonly #attempts: Attempts;
  readonly #signal: AbortSignal | undefined;
  readonly #source: UploadSource;
  #upload: Upload | undefined;
  #chunk: number;
  /** The registry has to be asked how much it has. */
  #isUncertain = false;
  /** An upload was lost: it may have been because it was done. */
  #maybeDone = false;
  #wasRefused = false;
  #inVain = 0;
  #best = 0;

  constructor(context: UploadContext, open: OpenBlob, options: BlobUploadOptions) {
    const { settings, limiter, signal, onEvent, started, chunkSize } = options;
    this.#context = context;
    this.#attempts = new Attempts([context.endpoint], settings, { signal, onEvent });
    this.#signal = signal;
    const onPosition = (position: number): void => onEvent?.({ type: "position", position });
    this.#source = new UploadSource(context.blob, open, { limiter, signal, onPosition });
    this.#upload = started;
    this.#chunk = chunkSize ?? Infinity;
  }

  /** Bytes that the registry takes at once, as far as is known; Infinity when it never complained. */
  get chunkSize(): number {
    return this.#chunk;
  }

  /** Once. */
  async run(): Promise<void> {
    try {
      while (!(await this.#isDone()));
    } catch (error) {
      await this.#giveUp(error);
      throw error;
    } finally {
      this.#source.close();
    }
  }

  /** One try; false after a failure of which there is hope. */
  async #isDone(): Promise<boolean> {
    try {
      return await this.#try();
    } catch (error) {
      await this.#recover(error);
      return false;
    }
  }

  async #try(): Promise<boolean> {
    const { caller } = this.#attempts;
    if (this.#isUncertain && this.#upload !== undefined) await this.#ask(this.#upload, caller);
    if (this.#maybeDone && (await hasBlob(this.#context, caller))) return true;
    this.#maybeDone = false;
    this.#upload ??= await startUpload(this.#context, caller);
    const upload = this.#upload;
    const { size } = this.#context.blob;
    for (;;) {
      const chunk = Math.max(this.#chunk, upload.minChunk);
      if (size - upload.confirmed <= chunk) break;
      this.#isUncertain = true;
      await upload.patch(this.#source.body(upload.confirmed, upload.confirmed + chunk), caller);
      if (this.#source.reached < upload.confirmed) throw this.#lost("took more than it was sent");
      this.#isUncertain = false;
      this.#progressed(upload);
    }
    this.#isUncertain = true;
    return await this.#finish(upload, caller);
  }

  /** The last bytes go with the request that ends the upload: ECR does not take one without any. */
  async #finish(upload: Upload, caller: Caller): Promise<boolean> {
    const { size } = this.#context.blob;
    const { confirmed } = upload;
    if (confirmed === size) await this.#source.complete();
    const isDone = await upload.put(confirmed === size ? undefined : this.#source.body(confirmed, size), caller);
    if (!this.#source.isComplete) throw this.#lost("said that it was done before it was");
    if (isDone || (await hasBlob(this.#context, caller))) return true;
    throw this.#lost("took the last byte and does not have the blob");
  }

  #lost(what: string): UploadLost {
    const { endpoint, subject } = this.#context;
    const detail = { host: endpoint.host };
    return new UploadLost(
      new VarveError("REGISTRY_PROTOCOL", `${subject}: ${endpoint.host} ${what}`, { detail }),
      false,
    );
  }

  async #ask(upload: Upload, caller: Caller): Promise<void> {
    const { reached } = this.#source;
    try {
      await upload.refresh(reached, caller);
    } catch (error) {
      if (!(error instanceof UploadLost)) throw error;
      return await this.#forget(error);
    }
    this.#isUncertain = false;
    if (upload.confirmed === 0) this.#countInVain(reached);
    this.#progressed(upload);
  }

  async #recover(error: unknown): Promise<void> {
    const { failure } = this.#source;
    const { endpoint, subject } = this.#context;
    if (failure !== undefined) {
      throw this.#signal?.aborted === true ? interrupted(this.#signal, subject) : failure.error;
    }
    if (error instanceof BodyTooLarge) return this.#shrink(error);
    const failed = this.#secondChance(networkFailure(error, endpoint.host, subject, this.#signal));
    if (failed instanceof UploadLost) await this.#forget(failed);
    await this.#attempts.failed(failed);
  }

  /** Bytes can be spoilt on the way, and uploads mixed up; what is refused a second time is refused. */
  #secondChance<T extends Error>(error: T): T | UploadLost {
    const status = error instanceof RegistryFailure ? error.detail["status"] : undefined;
    if (!(error instanceof RegistryFailure) || status !== 400 || this.#upload === undefined || this.#wasRefused)
      return error;
    this.#wasRefused = true;
    return new UploadLost(error, false);
  }

  #shrink(error: BodyTooLarge): void {
    const next = Math.min(OWN_CHUNK, Math.floor(error.length / 4));
    if (next < SMALLEST_CHUNK || next < (this.#upload?.minChunk ?? 0)) throw error;
    this.#chunk = next;
    // Nothing of what was refused is there; a registry that sees it otherwise will say so to the next chunk.
    this.#isUncertain = false;
  }

  async #forget({ isGone }: UploadLost): Promise<void> {
    this.#countInVain(this.#source.reached);
    if (!isGone) await this.#upload?.cancel();
    this.#upload = undefined;
    this.#isUncertain = false;
    this.#maybeDone = true;
    this.#source.restart();
  }

  #countInVain(reached: number): void {
    if (reached <= OWN_CHUNK || this.#chunk <= OWN_CHUNK) return;
    this.#inVain++;
    if (this.#inVain >= MOST_IN_VAIN) this.#chunk = OWN_CHUNK;
  }

  /** Only what the registry never had before: one that loses all again and again makes no progress. */
  #progressed({ confirmed }: Upload): void {
    if (confirmed <= this.#best) return;
    this.#attempts.progressed(confirmed - this.#best);
    this.#best = confirmed;
  }

  /** Nothing is left behind at a registry that can be reached. */
  async #giveUp(error: unknown): Promise<void> {
    const { code } = error as { code?: unknown };
    const isAway = code === "INTERRUPTED" || code === "REGISTRY_UNREACHABLE" || code === "REGISTRY_TIMEOUT";
    if (!isAway) await this.#upload?.cancel();
  }
}
