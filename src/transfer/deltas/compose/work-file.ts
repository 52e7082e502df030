/** A file without a name that is read in any order while it grows. */
import type { Spill } from "../../../codec/librsync/compose/command-index.ts";
import { FileTar } from "../../../layer/seekable/file-tar.ts";
import { UnnamedFile } from "../../commit/unnamed-file.ts";

export class WorkFile implements Spill, AsyncDisposable {
  readonly #file: UnnamedFile;
  readonly #reader: FileTar;

  private constructor(file: UnnamedFile, reader: FileTar) {
    this.#file = file;
    this.#reader = reader;
  }

  /** @param directory on the file system that has the room for it @throws VarveError `NO_SPACE`, `PERMISSION`, `IO` */
  static async create(directory: string): Promise<WorkFile> {
    await using opened = new AsyncDisposableStack();
    const file = opened.use(await UnnamedFile.create(directory));
    const reader = opened.use(await FileTar.open(file.path, { name: "what deltas are merged by", follow: true }));
    opened.move();
    return new WorkFile(file, reader);
  }

  get size(): number {
    return this.#file.size;
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#file.append(bytes);
  }

  read(into: Uint8Array, position: number): Promise<void> {
    return this.#reader.read(into, position);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using all = new AsyncDisposableStack();
    all.use(this.#file);
    all.use(this.#reader);
  }
}
