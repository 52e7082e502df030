import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { file, inChunks, record, tarOf } from "../../../test/codec/tar-splits.ts";
import { encodeName } from "../../sys/path-bytes.ts";
import { readTarSplit } from "./reader.ts";

const read = (text: string | Uint8Array, options = {}): Promise<unknown[]> =>
  Array.fromAsync(readTarSplit(inChunks(text, 7), options));

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
