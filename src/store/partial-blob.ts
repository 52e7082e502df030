/** A partial blob that this process has locked: the implementation of {@link Ingest}. */
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";
import type { FileLock } from "../sys/flock.ts";
import { Checkpointer } from "./checkpointer.ts";
import { Claims } from "./claims.ts";
import type { DataFile } from "./data-file.ts";
import { FrontWaiters } from "./front-waiters.ts";
import type { IngestPlace, StepHook } from "./ingest-place.ts";
import { closed, mismatch, outOfBounds } from "./ingest-errors.ts";
import { RangeSet } from "./range-set.ts";
import { resume, type Resumed } from "./resume.ts";
import type { ByteRange, ClaimsOptions, ContentInfo, FileRange, Ingest, WriteOptions } from "./types.ts";

export interface PartialBlobOptions {
  readonly folder: IngestPlace;
  readonly size: number;
  /** Held until the ingest is committed, discarded or closed; may be given back more than once. */
  readonly lock: Pick<FileLock, "unlock">;
  readonly sync: boolean;
  readonly step: StepHook;
  /** As in {@link CheckpointerOptions}. */
  readonly checkpointBytes?: number;
}

/** `ending` while a commit or discard is at work. */
type State = "open" | "ending" | "committed" | "discarded" | "closed";

export class PartialBlob implements Ingest {
  readonly digest: Digest;
  readonly size: number;
  readonly #options: PartialBlobOptions;
  readonly #folder: IngestPlace;
  readonly #file: DataFile;
  readonly #claims: Claims;
  readonly #done = new RangeSet();
  readonly #checkpointer: Checkpointer;
  readonly #waiters = new FrontWaiters();
  #state: State = "open";
  #ended: Promise<void> = Promise.resolve();
  #checking: Promise<void> | undefined;
  #front = 0;
  #failure: Error | undefined;
  #writes = 0;
  #onQuiet: (() => void) | undefined;

  private constructor(options: PartialBlobOptions, resumed: Resumed) {
    this.digest = options.folder.digest;
    this.size = options.size;
    this.#options = options;
    this.#folder = options.folder;
    this.#file = resumed.file;
    this.#claims = new Claims(resumed);
    this.#checkpointer = new Checkpointer(options, resumed);
  }

  /** Opens the folder's data, new or as far as an earlier process got. The lock stays the caller's when this throws. */
  static async open(options: PartialBlobOptions): Promise<PartialBlob> {
    try {
      return new PartialBlob(options, await resume(options));
    } catch (error) {
      throw toVarveError(error, `opening the partial blob ${options.folder.digest} of ${options.size} bytes`);
    }
  }

  get path(): string {
    return this.#state === "committed" ? this.#folder.published : this.#folder.data;
  }

  get resumed(): readonly ByteRange[] {
    return this.#claims.resumed;
  }

  get claimed(): readonly ByteRange[] {
    return this.#claims.open;
  }

  get done(): readonly ByteRange[] {
    return this.#done.toArray();
  }

  get front(): number {
    return this.#front;
  }

  checkClaims(options: ClaimsOptions = {}): Promise<void> {
    this.#checking ??= this.#checkClaims(options);
    return this.#checking;
  }

  async checkFirst(start: number, end: number): Promise<void> {
    await Promise.race([this.checkClaims(), this.#claims.sooner(start, end)]);
  }

  async write(position: number, bytes: Uint8Array, { inPlace = false }: WriteOptions = {}): Promise<void> {
    await this.#change(position, bytes.length, async () => {
      if (!inPlace) await this.#file.write(bytes, position);
      this.#checkpointer.wrote(position, bytes, this.#done.overlaps(position, position + bytes.length));
    });
  }

  async share(position: number, range: FileRange): Promise<boolean> {
    this.#mustBeOpen();
    const tooFar = outOfBounds(this, position, range.length);
    if (tooFar !== undefined) throw tooFar;
    this.#claims.drop(position, position + range.length);
    try {
      return await this.#file.share(position, range);
    } catch (error) {
      this.#rethrow(error, "sharing content with");
    }
  }

  async writeZeros(position: number, length: number): Promise<void> {
    await this.#change(position, length, async () => {
      await this.#file.zero(position, length);
      this.#checkpointer.zeros(position, length);
    });
  }

  forget(position: number, length: number): void {
    this.#claims.drop(position, position + length);
    this.#done.delete(position, position + length);
    this.#checkpointer.forget(position, position + length);
    this.#front = this.#done.contiguousEnd();
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    if (this.#state === "closed") throw closed(this.digest);
    if (!this.#done.has(position, position + length)) {
      throw new VarveError(
        "INTERNAL",
        `bytes ${position}+${length} of ${this.digest} were read before they were written`,
      );
    }
    const bytes = new Uint8Array(length);
    for (let filled = 0; filled < length;) {
      const { bytesRead } = await this.#file
        .read(bytes, filled, length - filled, position + filled)
        .catch((error: unknown) => this.#rethrow(error, "reading"));
      if (bytesRead === 0) throw new VarveError("IO", `someone else cut short the partial file of ${this.digest}`);
      filled += bytesRead;
    }
    return bytes;
  }

  async waitFront(position: number, signal?: AbortSignal): Promise<void> {
    const complete = this.#front >= this.size;
    // Complete and yet failed: the bytes came out wrong as a whole, and must not reach a reader's end as if all were well.
    if (complete && this.#failure !== undefined) throw this.#failure;
    if (this.#front > position || complete) return;
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#state === "closed" || this.#state === "discarded") throw closed(this.digest);
    await this.#waiters.wait(position, signal);
  }

  async checkpoint(): Promise<void> {
    if (this.#state === "open") await this.#checkpointer.checkpoint();
  }

  async commit(computed: { digest: Digest; size: number }): Promise<ContentInfo> {
    this.#mustBeOpen();
    const wrong = mismatch(this, computed);
    if (wrong !== undefined) {
      this.fail(wrong);
      await this.discard();
      throw wrong;
    }
    if (!this.#done.has(0, this.size)) {
      const [gap] = this.#done.missing(0, this.size);
      throw new VarveError("INTERNAL", `blob ${this.digest} was committed without its bytes ${gap?.start}-${gap?.end}`);
    }
    await this.#conclude("committed", async () => {
      await this.#file.protect();
      await this.#checkpointer.finish();
      this.#options.step("synced");
      await this.#folder.publish(this.#options.sync, this.#options.step);
    });
    return { digest: this.digest, size: this.size, path: this.#folder.published };
  }

  async discard(): Promise<void> {
    if (this.#state !== "open") return;
    await this.#conclude("discarded", () => this.#folder.discard(this.#options.step));
  }

  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : toVarveError(error);
    this.#waiters.fail(this.#failure);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ended;
    if (this.#state === "closed") return;
    if (this.#state === "open") await this.#keep();
    this.#state = "closed";
    this.#waiters.fail(this.#failure ?? closed(this.digest));
    this.#options.lock.unlock({ remove: true });
    await this.#checkpointer[Symbol.asyncDispose]();
    await this.#file.close();
  }

  async #checkClaims(options: ClaimsOptions): Promise<void> {
    const onHeld = (range: ByteRange): void => {
      this.#done.add(range.start, range.end);
      this.#moveFront();
      options.onHeld?.(range);
    };
    const checking = this.#claims.check({ ...options, onHeld });
    const held = await checking.catch((error: unknown) => this.#rethrow(error, "checking what is here of"));
    // A journal that cannot be written anew claims too much, which the next check finds out as this one did.
    await this.#checkpointer.claimsChecked(held).catch(() => {});
  }

  /** Leaves what is done for the next process. */
  async #keep(): Promise<void> {
    this.#state = "ending";
    await this.#settle();
    // What cannot be recorded will be fetched again; the reason why the transfer stopped is told elsewhere.
    if (this.#done.isEmpty && this.#claims.isEmpty) await this.#folder.remove().catch(() => {});
    else await this.#checkpointer.checkpoint().catch(() => {});
  }

  /** Ends the ingest by `work`; when that fails the ingest is open as before. */
  async #conclude(end: "committed" | "discarded", work: () => Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#state = "ending";
    this.#ended = promise;
    try {
      await this.#settle();
      await work();
      this.#state = end;
      if (end === "discarded") this.#waiters.fail(this.#failure ?? closed(this.digest));
      this.#options.lock.unlock({ remove: true });
    } catch (error) {
      this.#state = "open";
      this.#checkpointer.restart();
      this.#rethrow(error, "storing");
    } finally {
      resolve();
    }
  }

  /** Runs one change of `[position, position + length)` and accounts for it. */
  async #change(position: number, length: number, work: () => Promise<void>): Promise<void> {
    this.#mustBeOpen();
    const tooFar = outOfBounds(this, position, length);
    if (tooFar !== undefined) throw tooFar;
    if (length === 0) return;
    this.#writes++;
    this.#claims.drop(position, position + length);
    try {
      await work();
      this.#done.add(position, position + length);
      this.#moveFront();
    } catch (error) {
      this.#rethrow(error, "writing");
    } finally {
      if (--this.#writes === 0) this.#onQuiet?.();
    }
  }

  #moveFront(): void {
    const front = this.#done.contiguousEnd();
    if (front === this.#front) return;
    this.#front = front;
    if (front >= this.size) this.#waiters.release();
    else this.#waiters.advance(front);
  }

  /** Waits until no write and no checkpoint is under way. */
  async #settle(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#writes === 0) resolve();
    else this.#onQuiet = resolve;
    await promise;
    this.#claims.end(closed(this.digest));
    await this.#checking?.catch(() => {});
    await this.#checkpointer.stop();
  }

  #mustBeOpen(): void {
    if (this.#checkpointer.broken !== undefined) throw this.#checkpointer.broken;
    if (this.#state !== "open") throw closed(this.digest);
  }

  #rethrow(error: unknown, doing: string): never {
    throw toVarveError(error, `${doing} the blob ${this.digest}`);
  }
}
