/** Records tars as tar-splits and rebuilds them from payloads in memory, for tests. */
import { assembleTar, type TarSplitFile } from "../../src/codec/tar-split/assemble.ts";
import { readTarSplit } from "../../src/codec/tar-split/reader.ts";
import { TarSplitWriter, type TarSplitRefusal, type TarSplitWriterOptions } from "../../src/codec/tar-split/writer.ts";
import { encodeTarEntry, TAR_END, tarPadding, type TarEntryInit, type TarFormat } from "../../src/codec/tar/header.ts";
import { TarParser } from "../../src/codec/tar/parser.ts";

export interface Member extends TarEntryInit {
  readonly content?: Buffer;
  readonly format?: TarFormat;
}

export function member({ content = Buffer.alloc(0), format = "pax", ...entry }: Member): Buffer {
  const header = encodeTarEntry({ ...entry, size: content.length }, { format });
  return Buffer.concat([header, content, tarPadding(content.length)]);
}

export const tarOf = (...members: Member[]): Buffer => Buffer.concat([...members.map(member), TAR_END]);

export const file = (name: string, content: Buffer | string = ""): Member => ({
  type: "file",
  name,
  content: Buffer.from(content),
});
export interface Recording {
  readonly split: string;
  readonly files: Map<string, Buffer>;
  readonly refused: TarSplitRefusal | undefined;
}

/** Records a tar, and keeps the payloads as a tree would. */
export function record(tar: Uint8Array, step = 65_536, options: TarSplitWriterOptions = {}): Recording {
  const lines: Uint8Array[] = [];
  const files = new Map<string, Buffer>();
  let content: Uint8Array[] = [];
  let name = "";
  const writer = new TarSplitWriter((bytes) => lines.push(bytes), options);
  const parser = new TarParser({
    raw: (bytes) => writer.raw(bytes),
    entry(entry) {
      writer.entry(entry);
      name = entry.name;
      content = [];
    },
    data(bytes) {
      writer.data(bytes);
      content.push(Buffer.from(bytes));
    },
    endEntry() {
      writer.endEntry();
      if (content.length > 0) files.set(name, Buffer.concat(content));
    },
    globalHeader: (global) => writer.globalHeader(global),
    endOfArchive: () => writer.endOfArchive(),
  });
  for (let at = 0; at < tar.length; at += step) parser.write(tar.subarray(at, at + step));
  parser.end();
  writer.finish();
  return { split: Buffer.concat(lines).toString("utf8"), files, refused: writer.refused };
}

export async function* inChunks(text: string | Uint8Array, step = 1000): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

export function fileOf(content: Buffer, size = content.length): TarSplitFile {
  return { size, read: () => inChunks(content, 777), [Symbol.asyncDispose]: async () => undefined };
}

export async function assemble(split: string, files: ReadonlyMap<string, Buffer | TarSplitFile>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  const open = async (name: string): Promise<TarSplitFile> => {
    const file = files.get(name);
    if (file === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    return Buffer.isBuffer(file) ? fileOf(file) : file;
  };
  for await (const piece of assembleTar(readTarSplit(inChunks(split)), open)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}
