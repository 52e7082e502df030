/** The places of a partial disk: which are done, durably or until the disk is committed, and which are being worked on. */
import { dirname } from "node:path";
import { VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import { syncNames } from "../durable.ts";
import { RangeSet } from "../range-set.ts";
import { DoneLog } from "./done-log.ts";
import type { DiskContent } from "./types.ts";

interface Disk {
  readonly key: Digest;
  readonly size: number;
}

export class DonePlaces implements AsyncDisposable {
  readonly #path: string;
  readonly #disk: Disk;
  readonly #sync: boolean;
  #log: DoneLog;
  /** By their offsets. */
  readonly #done: Map<number, DiskContent>;
  readonly #copied = new Map<number, DiskContent>();
  /** All of those, to be asked first: contents are many, and hardly ever reach into one another. */
  readonly #covered: RangeSet;
  readonly #occupied = new Set<DiskContent>();
  #waiting: { readonly together: DiskContent[]; readonly added: Promise<void> } | undefined;
  /** Changes of the log, one after the other. */
  #changing: Promise<void> = Promise.resolve();

  private constructor(path: string, disk: Disk, sync: boolean, log: DoneLog, done: readonly DiskContent[]) {
    this.#path = path;
    this.#disk = disk;
    this.#sync = sync;
    this.#log = log;
    this.#done = new Map(done.map((content) => [content.offset, content]));
    this.#covered = new RangeSet(done.map(({ offset, size }) => ({ start: offset, end: offset + size })));
  }

  static async open(
    path: string,
    { key, size }: Disk,
    done: readonly DiskContent[],
    sync: boolean,
  ): Promise<DonePlaces> {
    const disk = { key, size };
    return new DonePlaces(path, disk, sync, await DoneLog.create(path, disk, done, sync), done);
  }

  has(content: DiskContent): boolean {
    return isSame(this.#done.get(content.offset), content) || isSame(this.#copied.get(content.offset), content);
  }

  /** Nothing is done durably. */
  get isEmpty(): boolean {
    return this.#done.size === 0;
  }

  get isOccupied(): boolean {
    return this.#occupied.size > 0;
  }

  /** @returns gives the place back; may be called more than once @throws VarveError `INTERNAL` */
  occupy(content: DiskContent): () => void {
    const { offset, size, digest } = content;
    const fits = Number.isSafeInteger(offset) && Number.isSafeInteger(size) && offset >= 0 && size > 0;
    if (!fits || offset + size > this.#disk.size) throw this.#misuse(content, "is not within it");
    if (this.has(content)) throw this.#misuse(content, "is done");
    if ([...this.#occupied].some((other) => overlap(other, content)))
      throw this.#misuse(content, "is being written to");
    const mine = { offset, size, digest };
    this.#occupied.add(mine);
    return () => void this.#occupied.delete(mine);
  }

  /** Other contents that reach into the place, of the same disk cut in another way, are about to be overwritten. */
  async forgetOthers(content: DiskContent): Promise<void> {
    if (!this.#covered.overlaps(content.offset, content.offset + content.size)) return;
    for (const other of this.#copied.values()) {
      if (!overlap(other, content)) continue;
      this.#copied.delete(other.offset);
      this.#covered.delete(other.offset, other.offset + other.size);
    }
    const lost = [...this.#done.values()].filter((other) => overlap(other, content));
    if (lost.length > 0) await this.#change(() => this.#forget(lost));
  }

  /** The content's bytes are durable; that they are done is too when this settles. Those who come while the log is written go into it together. */
  add(content: DiskContent): Promise<void> {
    if (this.#waiting === undefined) {
      const together: DiskContent[] = [];
      this.#waiting = { together, added: this.#change(() => this.#append(together)) };
    }
    this.#waiting.together.push(content);
    return this.#waiting.added;
  }

  /** The content's bytes are there, and durable with the disk. */
  addCopied(content: DiskContent): void {
    this.#copied.set(content.offset, content);
    this.#covered.add(content.offset, content.offset + content.size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#changing;
    await this.#log[Symbol.asyncDispose]();
  }

  async #append(together: readonly DiskContent[]): Promise<void> {
    this.#waiting = undefined;
    await this.#log.append(together);
    for (const content of together) {
      this.#done.set(content.offset, content);
      this.#covered.add(content.offset, content.offset + content.size);
    }
  }

  async #forget(lost: readonly DiskContent[]): Promise<void> {
    for (const { offset, size } of lost) {
      this.#done.delete(offset);
      this.#covered.delete(offset, offset + size);
    }
    const before = this.#log;
    this.#log = await DoneLog.create(this.#path, this.#disk, [...this.#done.values()], this.#sync);
    await before[Symbol.asyncDispose]();
    if (this.#sync) await syncNames(dirname(this.#path));
  }

  #change(work: () => Promise<void>): Promise<void> {
    const mine = this.#changing.then(work);
    this.#changing = mine.catch(() => {});
    return mine;
  }

  #misuse({ digest, offset, size }: DiskContent, what: string): VarveError {
    return new VarveError("INTERNAL", `${digest} at ${offset}+${size} of the disk ${this.#disk.key} ${what}`);
  }
}

function isSame(one: DiskContent | undefined, other: DiskContent): boolean {
  return one?.digest === other.digest && one.size === other.size;
}

function overlap(one: DiskContent, other: DiskContent): boolean {
  return one.offset < other.offset + other.size && other.offset < one.offset + one.size;
}
