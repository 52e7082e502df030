import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { assemble, file, member, record, tarOf, type Member, type Recording } from "../../../test/codec/tar-splits.ts";
import { decodeName } from "../../sys/path-bytes.ts";
import { encodeTarEntry, TAR_END, tarPadding } from "../tar/header.ts";

async function expectRoundTrip(tar: Buffer): Promise<Recording> {
  const recording = record(tar);
  expect(recording.refused).toBeUndefined();
  expect(record(tar, 100).split === recording.split).toBe(true);
  const rebuilt = await assemble(recording.split, recording.files);
  expect(rebuilt.equals(tar)).toBe(true);
  return recording;
}

const lineTypes = (split: string): number[] =>
  split
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { type: number }).type);

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
    expect(record(tarOf(file("abc"), file("def")), 500, { names: 1 })).toMatchObject({
      refused: { reason: "names" },
    });
  });
});
