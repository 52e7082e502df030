/** How far a disk has come, told as one thing whatever it is made of: of its bytes, holes and copies included, and what came over the network. */
import type { Digest } from "../../oci/digest.ts";
import type { ByteCounts } from "../../recipe/bytes.ts";
import { noBytes } from "../../recipe/bytes.ts";
import { Rate, Throttle } from "../../recipe/progress-meter.ts";
import type { BytesProgress, ProgressSink } from "../../recipe/progress.ts";

const KINDS = ["network", "local", "data", "zero"] as const;

export interface ContentProgress {
  readonly onProgress: ProgressSink;
  /** Nothing of it is in place any more. */
  undo(): void;
}

export class DiskMeter {
  readonly #emit: ProgressSink;
  readonly #throttle = new Throttle(() => performance.now());
  readonly #counts: ByteCounts = noBytes();
  readonly #key: Digest;
  readonly #total: number;
  #rate: Rate | undefined;
  /** Bytes that are in place, and of these those that were made in this run, which alone tell of its speed. */
  #done = 0;
  #made = 0;

  constructor(key: Digest, total: number, emit: ProgressSink) {
    this.#key = key;
    this.#total = total;
    this.#emit = emit;
  }

  /** Bytes that an earlier try has left. */
  here(bytes: number): void {
    this.#done += bytes;
  }

  /** Bytes that nobody has to make. */
  holes(bytes: number): void {
    this.#counts.zero += bytes;
    this.#done += bytes;
  }

  /** It begins now. */
  start(): void {
    this.#rate = new Rate(performance.now(), 0);
    const resumed = this.#done - this.#counts.zero;
    this.#emit({ type: "layer-start", digest: this.#key, total: this.#total, resumed });
    this.#send();
  }

  /** Bytes that were copied within the disks. */
  copied(bytes: number): void {
    this.#counts.local += bytes;
    this.written(bytes);
  }

  /** Bytes that were made of something that is here. */
  written(bytes: number): void {
    this.#done += bytes;
    this.#made += bytes;
    if (this.#throttle.due() !== undefined) this.#send();
  }

  /**
   * For an assembly of one content of the disk: what it tells of its bytes is counted here, everything else is passed on.
   * @param resumed bytes of the content that an earlier try has left
   */
  content(resumed: number): ContentProgress {
    let last: Pick<BytesProgress, "done" | keyof ByteCounts> = { done: resumed, ...noBytes() };
    this.here(resumed);
    return {
      onProgress: (event) => {
        if (event.type !== "progress") return this.#emit(event);
        for (const kind of KINDS) this.#counts[kind] += event[kind] - last[kind];
        const made = event.done - last.done;
        last = event;
        this.written(made);
      },
      undo: () => this.here(-last.done),
    };
  }

  /** All of it is in place, and has its name. */
  finish(): void {
    this.#done = this.#total;
    this.#send();
    this.#emit({ type: "layer-done", digest: this.#key, total: this.#total });
  }

  #send(): void {
    const rate = this.#rate?.sample(performance.now(), this.#made) ?? 0;
    const left = Math.max(0, this.#total - this.#done);
    this.#emit({
      type: "progress",
      digest: this.#key,
      done: this.#done,
      total: this.#total,
      bytesPerSecond: Math.round(rate),
      etaSeconds: left === 0 ? 0 : rate > 0 ? Math.ceil(left / rate) : null,
      ...this.#counts,
    });
  }
}
