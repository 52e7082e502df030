import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { createRng } from "../../test/kit/images/rng.ts";
import { compress, COMPRESSIONS, type Compression } from "./compress.ts";

const INFLATE: Readonly<Record<Compression, (bytes: Buffer) => Buffer>> = {
  gzip: (bytes) => gunzipSync(bytes),
  zstd: (bytes) => zstdDecompressSync(bytes),
  none: (bytes) => bytes,
};

const TEXT = createRng(1).text(3_000_000);

async function* pieces(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < TEXT.length; at += 1_000_000) yield TEXT.subarray(at, at + 1_000_000);
}

describe.each(COMPRESSIONS)("compressing with %s", (compression) => {
  const all = async (): Promise<Buffer> => Buffer.concat(await Array.fromAsync(compress(pieces(), compression)));

  it("gives what inflates to the same, and the same bytes again", async () => {
    const bytes = await all();
    expect(INFLATE[compression](bytes).equals(TEXT)).toBe(true);
    expect((await all()).equals(bytes)).toBe(true);
  });

  it("fails as its source does", async () => {
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield TEXT;
      throw new Error("the source broke");
    };
    await expect(Array.fromAsync(compress(failing(), compression))).rejects.toThrow("the source broke");
  });

  it("lets go of its source when nobody wants more", async () => {
    let ended = false;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield createRng(2).bytes(1_000_000);
      } finally {
        ended = true;
      }
    };
    for await (const _chunk of compress(endless(), compression)) break;
    await expect.poll(() => ended).toBe(true);
  });
});

it("says nothing of the time in gzip's header", async () => {
  const bytes = Buffer.concat(await Array.fromAsync(compress(pieces(), "gzip")));
  expect(bytes.readUInt32LE(4)).toBe(0);
});
