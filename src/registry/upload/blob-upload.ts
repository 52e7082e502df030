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
import type { RequestBody } from "../transport/request-body.ts";
import type { OpenBlob, PutBlobOptions } from "./blob-sink.ts";
import { ChunkSize } from "./chunk-size.ts";
import { hasBlob } from "./has-blob.ts";
import { BodyTooLarge, startUpload, UploadLost, type Upload, type UploadContext } from "./upload.ts";
import { UploadSource } from "./upload-source.ts";

/** Failures of the line, of which the registry need not know. */
const LINE: ReadonlySet<unknown> = new Set(["REGISTRY_UNREACHABLE", "REGISTRY_TIMEOUT"]);
/** What registries say to a chunk that know none, or none of that size. */
const CHUNK_REFUSED = new Set([400, 404, 405, 409, 411, 422, 501]);

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
  readonly #chunks: ChunkSize;
  #upload: Upload | undefined;
  /** What the last request had of the blob, and whether its connection broke. */
  #last = { start: 0, length: 0, isCut: false };
  /** The registry has to be asked how much it has. */
  #isUncertain = false;
  /** An upload was lost: it may have been because it was done. */
  #maybeDone = false;
  #wasRefused = false;
  #best = 0;

  constructor(context: UploadContext, open: OpenBlob, options: BlobUploadOptions) {
    const { settings, limiter, signal, onEvent, started, chunkSize } = options;
    this.#context = context;
    this.#attempts = new Attempts([context.endpoint], settings, { signal, onEvent });
    this.#signal = signal;
    const onPosition = (position: number): void => onEvent?.({ type: "position", position });
    this.#source = new UploadSource(context.blob, open, { limiter, signal, onPosition });
    this.#upload = started;
    this.#chunks = new ChunkSize(chunkSize);
  }

  /** Bytes that the registry takes at once, as far as is known; Infinity when it never complained. */
  get chunkSize(): number {
    return this.#chunks.size;
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
      const chunk = Math.max(this.#chunks.size, upload.minChunk);
      if (size - upload.confirmed <= chunk) break;
      await upload.patch(this.#body(upload.confirmed, upload.confirmed + chunk), caller);
      if (this.#source.reached < upload.confirmed) throw this.#lost("took more than it was sent");
      this.#isUncertain = false;
      this.#chunks.accepted();
      this.#progressed(upload);
    }
    return await this.#finish(upload, caller);
  }

  #body(start: number, end: number): RequestBody {
    this.#isUncertain = true;
    this.#last = { start, length: end - start, isCut: false };
    return this.#source.body(start, end);
  }

  /** The last bytes go with the request that ends the upload: ECR does not take one without any. */
  async #finish(upload: Upload, caller: Caller): Promise<boolean> {
    const { size } = this.#context.blob;
    const { confirmed } = upload;
    const body = this.#body(confirmed, size);
    if (confirmed === size) await this.#source.complete();
    const isDone = await upload.put(confirmed === size ? undefined : body, caller);
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
    if (upload.confirmed <= this.#last.start) this.#countInVain();
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
    this.#last.isCut ||= LINE.has(failed.code) && this.#source.taken > 0;
    if (failed instanceof UploadLost) await this.#forget(failed);
    await this.#attempts.failed(failed);
  }

  /** Bytes can be spoilt on the way, and uploads mixed up; what is refused a second time is refused. */
  #secondChance(error: VarveError): VarveError {
    if (!(error instanceof RegistryFailure) || this.#upload === undefined) return error;
    const { status } = error.detail;
    if (CHUNK_REFUSED.has(Number(status)) && this.#chunks.withdraw()) return new UploadLost(error, false);
    if (status !== 400 || this.#wasRefused) return error;
    this.#wasRefused = true;
    return new UploadLost(error, false);
  }

  #shrink(error: BodyTooLarge): void {
    if (!this.#chunks.tooLarge(error.length, this.#upload?.minChunk ?? 0)) throw error;
    // Nothing of what was refused is there; a registry that sees it otherwise will say so to the next chunk.
    this.#isUncertain = false;
  }

  async #forget({ isGone }: UploadLost): Promise<void> {
    this.#countInVain();
    if (!isGone) await this.#upload?.cancel();
    this.#upload = undefined;
    this.#isUncertain = false;
    this.#maybeDone = true;
    this.#source.restart();
  }

  /** Of the last request nothing was kept. */
  #countInVain(): void {
    const { length, isCut } = this.#last;
    this.#chunks.inVain({ length, isCut, least: this.#upload?.minChunk ?? 0 });
    this.#last = { start: 0, length: 0, isCut: false };
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
    if (code !== "INTERRUPTED" && !LINE.has(code)) await this.#upload?.cancel();
  }
}
