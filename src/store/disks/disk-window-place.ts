/** A place of a partial disk as what an ingest fills: a part of the disk's file, and a folder named by its offset for the progress. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import { SHARED_BLOCK } from "../../sys/reflink-range.ts";
import type { DataFile } from "../data-file.ts";
import { syncNames } from "../durable.ts";
import type { IngestPlace, StepHook } from "../ingest-place.ts";
import type { FileRange } from "../types.ts";
import { Borders } from "./borders.ts";
import type { DiskFile } from "./disk-file.ts";
import type { DecoderCheckpoints, DiskContent } from "./types.ts";

export interface WindowPlaceOptions {
  readonly content: DiskContent;
  readonly file: DiskFile;
  /** Of the disk's file. */
  readonly path: string;
  /** The partial disk's folder. */
  readonly folder: string;
  /** That the content is decoded from, see {@link Borders.open}. */
  readonly blob?: Digest;
  /** Says durably that the content is done. */
  readonly onDone: (content: DiskContent) => Promise<void>;
  /** Told when nobody uses the place any more. */
  readonly onClose: () => void;
}

export class DiskWindowPlace implements IngestPlace {
  /** Small contents are many, and done before there would be much to go on with; a full disk costs them and none that is done. */
  readonly earlyJournal = 32 * 1024 * 1024;
  readonly digest: Digest;
  readonly data: string;
  readonly published: string;
  readonly journal: string;
  readonly #options: WindowPlaceOptions;
  readonly #folder: string;
  #borders: Borders | undefined;

  constructor(options: WindowPlaceOptions) {
    const { content, folder, path } = options;
    this.#options = options;
    this.#folder = join(folder, String(content.offset));
    this.digest = content.digest;
    this.data = path;
    this.published = path;
    this.journal = join(this.#folder, "journal");
  }

  /** There once the place is open. */
  get checkpoints(): DecoderCheckpoints {
    if (this.#borders === undefined) throw new VarveError("INTERNAL", `the place of ${this.digest} is not open`);
    return this.#borders;
  }

  async make(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
  }

  async open(size: number): Promise<DataFile> {
    const { blob, content, file, onClose } = this.#options;
    const of = { size, content: content.digest, ...(blob !== undefined && { blob }) };
    const borders = await Borders.open(join(this.#folder, "borders"), of);
    this.#borders = borders;
    return new PlaceInFile(file, content.offset, async () => {
      await borders[Symbol.asyncDispose]();
      onClose();
    });
  }

  async syncNames(): Promise<void> {
    await syncNames(this.#folder);
    await syncNames(this.#options.folder);
  }

  async publish(_sync: boolean, step: StepHook): Promise<void> {
    await this.#options.onDone(this.#options.content);
    step("recorded");
    await this.remove();
    step("removed");
  }

  /** The bytes stay where they are: whoever writes there next writes over them. */
  async discard(step: StepHook): Promise<void> {
    await this.remove();
    step("removed");
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** A part of the disk's file. Closing it and making it read-only are for who has the whole. */
class PlaceInFile implements DataFile {
  readonly #file: DiskFile;
  readonly #offset: number;

  readonly #close: () => Promise<void>;

  constructor(file: DiskFile, offset: number, close: () => Promise<void>) {
    this.#file = file;
    this.#offset = offset;
    this.#close = close;
  }

  read(into: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }> {
    return this.#file.read(into, offset, length, this.#offset + position);
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    return this.#file.write(bytes, this.#offset + position);
  }

  zero(position: number, length: number): Promise<void> {
    return this.#file.zero(this.#offset + position, length);
  }

  /** Nothing can be shared at a place that is not on a block's border. */
  async share(position: number, range: FileRange): Promise<boolean> {
    const place = this.#offset + position;
    return place % SHARED_BLOCK === 0 && this.#file.share(place, range);
  }

  datasync(): Promise<void> {
    return this.#file.datasync();
  }

  sync(): Promise<void> {
    return this.#file.datasync();
  }

  async protect(): Promise<void> {}

  close(): Promise<void> {
    return this.#close();
  }
}
