import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { createHash } from "node:crypto";
import { decodeName, encodeName } from "../../sys/path-bytes.ts";
import { encodeTarEntry, TAR_END, tarPadding, type TarEntryInit, type TarFormat } from "../tar/header.ts";
import { TarParser } from "../tar/parser.ts";
import { assembleTar, type TarSplitFile } from "./assemble.ts";
import { readTarSplit } from "./reader.ts";
import { TarSplitWriter, type TarSplitRefusal, type TarSplitWriterOptions } from "./writer.ts";

interface Member extends TarEntryInit {
  readonly content?: Buffer;
  readonly format?: TarFormat;
}

function member({ content = Buffer.alloc(0), format = "pax", ...entry }: Member): Buffer {
  const header = encodeTarEntry({ ...entry, size: content.length }, { format });
  return Buffer.concat([header, content, tarPadding(content.length)]);
}

const tarOf = (...members: Member[]): Buffer => Buffer.concat([...members.map(member), TAR_END]);

interface Recording {
  readonly split: string;
  readonly files: Map<string, Buffer>;
  readonly refused: TarSplitRefusal | undefined;
}

/** Records a tar, and keeps the payloads as a tree would. */
function record(tar: Uint8Array, step = 65_536, options: TarSplitWriterOptions = {}): Recording {
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

async function* inChunks(text: string | Uint8Array, step = 1000): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

function fileOf(content: Buffer, size = content.length): TarSplitFile {
  return { size, read: () => inChunks(content, 777), [Symbol.asyncDispose]: async () => undefined };
}

async function assemble(split: string, files: ReadonlyMap<string, Buffer | TarSplitFile>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  const open = async (name: string): Promise<TarSplitFile> => {
    const file = files.get(name);
    if (file === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    return Buffer.isBuffer(file) ? fileOf(file) : file;
  };
  for await (const piece of assembleTar(readTarSplit(inChunks(split)), open)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

async function expectRoundTrip(tar: Buffer): Promise<Recording> {
  const recording = record(tar);
  expect(recording.refused).toBeUndefined();
  expect(record(tar, 100).split === recording.split).toBe(true);
  const rebuilt = await assemble(recording.split, recording.files);
  expect(rebuilt.equals(tar)).toBe(true);
  return recording;
}

async function failToOpen(): Promise<TarSplitFile> {
  throw Object.assign(new Error("disk"), { code: "EIO" });
}

const read = (text: string | Uint8Array, options = {}): Promise<unknown[]> =>
  Array.fromAsync(readTarSplit(inChunks(text, 7), options));

const lineTypes = (split: string): number[] =>
  split
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { type: number }).type);

const file = (name: string, content: Buffer | string = ""): Member => ({
  type: "file",
  name,
  content: Buffer.from(content),
});
const segment = (bytes: Uint8Array, position: number): string =>
  `{"type":2,"payload":"${Buffer.from(bytes).toString("base64")}","position":${position}}\n`;

describe("a tar-split", () => {
  it("is what the Go library writes, line for line", () => {
    const hello = file("usr/<&>", "hello");
    const directory: Member = { type: "directory", name: "./usr/" };
    const latin1: Member = { type: "symlink", name: decodeName(Buffer.from("caf\xe9", "latin1")), linkName: "x" };
    const header = (init: Member, size: number): Uint8Array => encodeTarEntry({ ...init, size });
    expect(record(tarOf(directory, hello, latin1)).split).toBe(
      segment(header(directory, 0), 0) +
        `{"type":1,"name":"./usr/","payload":null,"position":1}\n` +
        segment(header(hello, 5), 2) +
        `{"type":1,"name":"usr/\\u003c\\u0026\\u003e","size":5,"payload":"PD7u4tgQAAA=","position":3}\n` +
        segment(Buffer.concat([tarPadding(5), header(latin1, 0)]), 4) +
        `{"type":1,"name_raw":"Y2Fm6Q==","payload":null,"position":5}\n` +
        segment(TAR_END, 6) +
        `{"type":2,"payload":"","position":7}\n`,
    );
  });

  it("gives back the empty tar", async () => {
    expect(createHash("sha256").update(TAR_END).digest("hex")).toMatch(/^5f70bf18a086007016e948b04aed3b82/);
    await expectRoundTrip(Buffer.from(TAR_END));
    await expectRoundTrip(Buffer.alloc(0));
  });

  it("gives back any end of an archive", async () => {
    const body = member(file("a", "some content"));
    const zeros = Buffer.alloc(10 * 1024 * 1024);
    for (const end of [[], [TAR_END.subarray(0, 512)], [TAR_END], [TAR_END, Buffer.from("junk ".repeat(300))]]) {
      await expectRoundTrip(Buffer.concat([body, ...end]));
    }
    await expectRoundTrip(body.subarray(0, 512 + 12));
    await expectRoundTrip(body.subarray(0, 512 + 300));
    const { split } = await expectRoundTrip(Buffer.concat([body, TAR_END, zeros]));
    expect(lineTypes(split)).toEqual([2, 1, 2, ...Array.from({ length: 10 }, () => 2), 2]);
  });

  it("gives back every kind of member", async () => {
    const long = `${"deep/".repeat(60)}${"n".repeat(200)}`;
    const tar = tarOf(
      ...[0, 1, 511, 512, 513, 100_000].map((size) => file(`size-${size}`, Buffer.alloc(size, "x"))),
      file(long, "long"),
      { ...file(`${long}-gnu`, "gnu"), format: "gnu" },
      { ...file("base-256", "owner"), format: "gnu", uid: 2 ** 40 },
      file(decodeName(Uint8Array.of(0xff, 0x2f, 0xfe)), "raw"),
      file("größe/日本", "utf8"),
      { type: "link", name: "hard", linkName: "size-513" },
      { type: "symlink", name: "soft", linkName: long },
      file("etc/.wh.passwd"),
      file("etc/.wh..wh..opq"),
      { type: "char", name: "dev/null", deviceMajor: 1, deviceMinor: 3 },
      { type: "block", name: "dev/sda", deviceMajor: 8 },
      { type: "fifo", name: "run/fifo" },
      { type: "directory", name: "./d/", xattrs: new Map([["security.selinux", Buffer.from("a\0b\0")]]) },
      file("/absolute/../path", "p"),
    );
    const { split } = await expectRoundTrip(tar);
    expect(lineTypes(split).slice(0, 6)).toEqual([2, 1, 2, 1, 2, 1]);
  });

  it("gives back any archive", async () => {
    const anyName = fc
      .uint8Array({ minLength: 1, maxLength: 150 })
      .map((bytes) => decodeName(bytes.map((b) => b || 1)));
    const anyMember = fc.record({
      type: fc.constantFrom("file" as const, "file" as const, "directory" as const, "symlink" as const),
      name: anyName,
      linkName: anyName,
      content: fc.uint8Array({ maxLength: 1500 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyMember, { maxLength: 6 }),
        fc.uint8Array({ maxLength: 700 }),
        async (members, tail) => {
          const unique = members.map(({ content, name, ...rest }, i) => ({
            ...rest,
            name: `${i}-${name.replaceAll("/", "_")}`,
            content: rest.type === "file" ? Buffer.from(content) : Buffer.alloc(0),
          }));
          await expectRoundTrip(Buffer.concat([tarOf(...unique), tail]));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("counts a hard link's size for nothing, as no data follows it", async () => {
    const link = Buffer.from(encodeTarEntry({ type: "file", name: "hard", size: 700 }));
    link.write("1", 156);
    link.write("target", 157);
    let sum = 0;
    link.fill(0x20, 148, 156);
    for (const byte of link) sum += byte;
    link.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    const { split } = await expectRoundTrip(Buffer.concat([link, member(file("after", "x")), TAR_END]));
    expect(split).toContain(`{"type":1,"name":"hard","payload":null,"position":1}\n`);
  });

  it("is refused for duplicates, in whatever spelling", () => {
    for (const [one, other] of [
      ["a", "a"],
      ["./a", "a"],
      ["a/", "a"],
      ["d//x", "d/x"],
      ["d/e/../x", "d/x"],
      ["/a", "a"],
      ["../a", "a"],
    ] as const) {
      expect(record(tarOf(file(one, "1"), file(other, "2"))).refused).toEqual({ reason: "duplicate", name: other });
    }
    expect(record(tarOf(file("a"), file("A"), file("a b"))).refused).toBeUndefined();
  });

  it("is refused for sparse files and for headers without bound", () => {
    const sparse = encodeTarEntry({ type: "file", name: "disk", size: 9000, storedSize: 0, sparse: [] });
    expect(record(sparse)).toMatchObject({ refused: { reason: "sparse", name: "disk" }, split: "" });
    const wordy: Member = { ...file("a"), xattrs: new Map([["user.a", Buffer.alloc(5000, "x")]]) };
    expect(record(tarOf(wordy), 500, { segmentBytes: 4096 })).toMatchObject({ refused: { reason: "headers" } });
    expect(record(tarOf(file("abc"), file("def")), 500, { nameBytes: 6 })).toMatchObject({
      refused: { reason: "names" },
    });
  });
});

describe("assembly of a tar-split", () => {
  const tar = tarOf(file("etc/hosts", "127.0.0.1 localhost"), file("etc/empty"));
  const { split, files } = record(tar);
  const broken = async (content: Buffer | TarSplitFile | undefined): Promise<void> => {
    const tree = new Map<string, Buffer | TarSplitFile>(files);
    if (content === undefined) tree.delete("etc/hosts");
    else tree.set("etc/hosts", content);
    await expect(assemble(split, tree)).rejects.toMatchObject({ code: "TAR_SPLIT_INVALID" });
  };

  it("notices a file that was changed, cut, lengthened or removed", async () => {
    await broken(Buffer.from("127.0.0.2 localhost"));
    await broken(Buffer.from("127.0.0.1 localhos"));
    await broken(Buffer.from("127.0.0.1 localhost\n"));
    await broken(undefined);
    await broken(fileOf(Buffer.from("127.0.0.1 localhost and more"), 19));
    await broken(fileOf(Buffer.from("127.0.0.1"), 19));
  });

  it("notices a symlink or a directory in the place of a file", async () => {
    for (const code of ["ELOOP", "EISDIR", "ENOTDIR"]) {
      const open = () => Promise.reject(Object.assign(new Error(code), { code }));
      const assembled = Array.fromAsync(assembleTar(readTarSplit(inChunks(split)), open));
      await expect(assembled).rejects.toMatchObject({ code: "TAR_SPLIT_INVALID" });
    }
  });

  it("does not open empty files", async () => {
    expect((await assemble(split, new Map([["etc/hosts", Buffer.from("127.0.0.1 localhost")]]))).equals(tar)).toBe(
      true,
    );
  });

  it("closes each file, also one that fails, and passes other errors on", async () => {
    let open = 0;
    const counted = (size: number): TarSplitFile => {
      open++;
      return { ...fileOf(Buffer.from("127.0.0.1 localhost"), size), [Symbol.asyncDispose]: async () => void open-- };
    };
    await assemble(split, new Map([["etc/hosts", counted(19)]]));
    await broken(counted(20));
    expect(open).toBe(0);
    await expect(Array.fromAsync(assembleTar(readTarSplit(inChunks(split)), failToOpen))).rejects.toThrow("disk");
  });
});

describe("a tar-split from the network", () => {
  const good = `{"type":2,"payload":"","position":0}\n`;

  it("may lack its last newline, and hold empty lines", async () => {
    expect(await read(`${good}\n{"type":1,"name":"a","payload":null,"position":1}`)).toEqual([
      { type: "segment", bytes: new Uint8Array(0) },
      { type: "file", name: "a", size: 0, crc: undefined },
    ]);
  });

  it("prefers the raw name, which alone may hold other bytes than UTF-8", async () => {
    const [entry] = await read(`{"type":1,"name":"x","name_raw":"/w==","payload":null,"position":0}\n`);
    expect([...encodeName((entry as { name: string }).name)]).toEqual([0xff]);
  });

  it.each([
    ["no JSON", "{"],
    ["no object", "[]"],
    ["null", "null"],
    ["an unknown type", `{"type":3,"payload":"","position":1}`],
    ["no position", `{"type":2,"payload":""}`],
    ["a position that was there", `{"type":2,"payload":"","position":0}`],
    ["a broken position", `{"type":2,"payload":"","position":1.5}`],
    ["bad base64", `{"type":2,"payload":"AAA","position":1}`],
    ["another base64", `{"type":2,"payload":"-_-_","position":1}`],
    ["a payload that is a number", `{"type":2,"payload":5,"position":1}`],
    ["a negative size", `{"type":1,"name":"a","size":-1,"payload":"AAAAAAAAAAA=","position":1}`],
    ["a size beyond numbers", `{"type":1,"name":"a","size":1e300,"payload":"AAAAAAAAAAA=","position":1}`],
    ["a size without CRC", `{"type":1,"name":"a","size":1,"payload":null,"position":1}`],
    ["a short CRC", `{"type":1,"name":"a","size":1,"payload":"AAAA","position":1}`],
    ["a NUL in a name", `{"type":1,"name":"a\\u0000","payload":null,"position":1}`],
    ["a forged raw byte", `{"type":1,"name":"a\\udcff","payload":null,"position":1}`],
    ["a name that is no text", `{"type":1,"name":{},"payload":null,"position":1}`],
    [
      "a name twice",
      `{"type":1,"name":"a","payload":null,"position":1}\n{"type":1,"name":"./a/","payload":null,"position":2}`,
    ],
  ])("is refused for %s", async (_, line) => {
    await expect(read(`${good}${line}\n`)).rejects.toMatchObject({ code: "TAR_SPLIT_INVALID" });
  });

  it("is refused for bytes that are not UTF-8, and for lines or names without bound", async () => {
    const latin1 = Buffer.from(`{"type":1,"name":"caf\xe9","payload":null,"position":1}\n`, "latin1");
    await expect(read(latin1)).rejects.toMatchObject({ code: "TAR_SPLIT_INVALID" });
    await expect(read(good, { lineBytes: 20 })).rejects.toMatchObject({ code: "TAR_SPLIT_INVALID" });
    const named = `{"type":1,"name":"abcdef","payload":null,"position":1}\n`;
    await expect(read(named, { nameBytes: 5 })).rejects.toMatchObject({ code: "TAR_SPLIT_INVALID" });
  });

  it("is read or refused, but never breaks the reader", async () => {
    const { split } = record(tarOf(file("a/b", "content"), file("c")));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(split.length - 1), fc.nat(255)), { maxLength: 4 }),
        async (mutations) => {
          const bytes = Buffer.from(split);
          for (const [at, value] of mutations) bytes[at] = value;
          try {
            await read(bytes);
          } catch (error) {
            expect(error).toMatchObject({ code: "TAR_SPLIT_INVALID" });
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
