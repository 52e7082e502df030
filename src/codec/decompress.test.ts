import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { randomBytes } from "node:crypto";
import { crc32, constants, gzipSync, zstdCompressSync } from "node:zlib";
import { execFileSync } from "node:child_process";
import { findPeer } from "../../test/kit/peers.ts";
import { decompress, type DecompressOptions } from "./decompress.ts";

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function inflate(bytes: Uint8Array, size = 65_536, options: DecompressOptions = {}): Promise<Buffer> {
  const out: Uint8Array[] = [];
  for await (const piece of decompress(pieces(bytes, size), options)) out.push(piece);
  return Buffer.concat(out);
}

const zstd = (text: string | Uint8Array): Buffer => zstdCompressSync(Buffer.from(text));
function skippable(bytes: number, kind = 0): Buffer {
  const frame = Buffer.alloc(8 + bytes, 0x28);
  frame.writeUInt32LE(0x184d2a50 + kind, 0);
  frame.writeUInt32LE(bytes, 4);
  return frame;
}

const big = Buffer.concat([randomBytes(700_000), Buffer.alloc(3_000_000, "abc"), randomBytes(10)]);
const SIZES = [1, 3, 7, 100_000];
const invalid = expect.objectContaining({ code: "COMPRESSION_INVALID" });

describe("decompress", () => {
  it("reads gzip of any number of members, at any chunking", async () => {
    for (const size of SIZES) {
      const members = Buffer.concat([gzipSync(""), gzipSync("one "), gzipSync(""), gzipSync("two"), gzipSync("")]);
      expect((await inflate(members, size)).toString()).toBe("one two");
    }
    expect((await inflate(Buffer.concat([gzipSync(big), gzipSync(big)]))).equals(Buffer.concat([big, big]))).toBe(true);
  });

  it("reads zstd of any number of frames, with skippable ones first, between and last", async () => {
    const frames = Buffer.concat([skippable(9, 15), zstd("one "), skippable(0), zstd(""), zstd("two"), skippable(300)]);
    for (const size of SIZES) expect((await inflate(frames, size)).toString()).toBe("one two");
    expect((await inflate(Buffer.concat([zstd(big), zstd(big)]))).equals(Buffer.concat([big, big]))).toBe(true);
    expect((await inflate(skippable(5))).length).toBe(0);
  });

  it("passes plain bytes through, whatever they look like at first", async () => {
    for (const text of ["", "\x1f", "\x1f\x8b", "\x1f\x8b\x07", "(\xb5/", "plain"]) {
      for (const size of SIZES)
        expect((await inflate(Buffer.from(text, "latin1"), size)).toString("latin1")).toBe(text);
    }
    expect((await inflate(big, 10_000)).equals(big)).toBe(true);
  });

  it("takes an empty blob for an empty one under every name", async () => {
    for (const compression of ["gzip", "zstd", "none"] as const) {
      expect((await inflate(Buffer.alloc(0), 1, { compression })).length).toBe(0);
    }
  });

  it("gives pieces no larger than asked for", async () => {
    for (const blob of [gzipSync(big), zstd(big), big]) {
      const sizes: number[] = [];
      for await (const piece of decompress(pieces(blob, 5_000_000), { chunkSize: 65_536 })) sizes.push(piece.length);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(65_536);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(big.length);
    }
  });

  it("leaves what it gave away untouched", async () => {
    const kept: { piece: Uint8Array; sum: number }[] = [];
    for await (const piece of decompress(pieces(gzipSync(big), 9_999))) kept.push({ piece, sum: crc32(piece) });
    for (const { piece, sum } of kept) expect(crc32(piece)).toBe(sum);
  });

  it("refuses data that is cut short, at every length", async () => {
    const gzip = Buffer.concat([gzipSync("first"), gzipSync("second member")]);
    const whole = gzipSync("first").length;
    for (let length = 3; length < gzip.length; length++) {
      if (length !== whole) await expect(inflate(gzip.subarray(0, length), 11)).rejects.toEqual(invalid);
    }
    const frames = Buffer.concat([zstd("first"), skippable(6), zstd("second frame")]);
    const borders = new Set([zstd("first").length, zstd("first").length + 14]);
    for (let length = 4; length < frames.length; length++) {
      if (!borders.has(length)) await expect(inflate(frames.subarray(0, length), 11)).rejects.toEqual(invalid);
    }
  });

  it("refuses what a corrupt byte makes of it", async () => {
    const broken = gzipSync(big.subarray(0, 50_000));
    broken[20_000] = (broken[20_000] ?? 0) ^ 0xff;
    await expect(inflate(broken)).rejects.toEqual(invalid);
    const checked = zstdCompressSync(big.subarray(0, 50_000), { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
    checked[20_000] = (checked[20_000] ?? 0) ^ 0xff;
    await expect(inflate(checked)).rejects.toEqual(invalid);
    await expect(inflate(Buffer.from("no gzip at all"), 5, { compression: "gzip" })).rejects.toEqual(invalid);
    await expect(inflate(Buffer.from("no zstd at all"), 5, { compression: "zstd" })).rejects.toEqual(invalid);
  });

  it("reads over NUL padding after gzip, and refuses anything else there", async () => {
    for (const size of SIZES) {
      expect((await inflate(Buffer.concat([gzipSync("x"), Buffer.alloc(2000)]), size)).toString()).toBe("x");
      const nulThenJunk = Buffer.concat([gzipSync("x"), Buffer.alloc(2000), Buffer.from("junk")]);
      const nulThenMember = Buffer.concat([gzipSync("x"), Buffer.alloc(20), gzipSync("y")]);
      for (const blob of [nulThenJunk, nulThenMember, Buffer.concat([gzipSync("x"), Buffer.from("j")])]) {
        await expect(inflate(blob, size)).rejects.toEqual(invalid);
      }
      for (const rest of ["\0\0\0\0", "j", "junkjunk", "(\xb5/", "\x1f\x8b\x08"]) {
        const blob = Buffer.concat([zstd("x"), Buffer.from(rest, "latin1")]);
        await expect(inflate(blob, size)).rejects.toEqual(invalid);
      }
    }
  });

  it("refuses a zstd window above 128 MiB", async () => {
    const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 0x01, 0x00, 0x00]);
    await expect(inflate(frame)).rejects.toEqual(invalid);
    frame[5] = (27 - 10) << 3;
    expect((await inflate(frame)).length).toBe(0);
  });

  it("passes an error of the source on as it is", async () => {
    const broken = new Error("the network is gone");
    const blob = gzipSync(big);
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield blob.subarray(0, 100_000);
      throw broken;
    }
    await expect(Array.fromAsync(decompress(failing()))).rejects.toBe(broken);
    async function* failingAtOnce(): AsyncGenerator<Uint8Array> {
      yield* [];
      throw broken;
    }
    await expect(Array.fromAsync(decompress(failingAtOnce()))).rejects.toBe(broken);
  });

  it("stops for a signal even when the source never answers", async () => {
    for (const first of [gzipSync(big).subarray(0, 50_000), big.subarray(0, 50_000)]) {
      const controller = new AbortController();
      async function* hanging(): AsyncGenerator<Uint8Array> {
        yield first;
        await new Promise(() => undefined);
      }
      const reason = new Error("enough");
      const reading = (async () => {
        for await (const piece of decompress(hanging(), { signal: controller.signal })) {
          if (piece.length > 0) setImmediate(() => controller.abort(reason));
        }
      })();
      await expect(reading).rejects.toBe(reason);
    }
    const aborted = AbortSignal.abort(new Error("before"));
    await expect(inflate(gzipSync("x"), 5, { signal: aborted })).rejects.toThrow("before");
  });

  it("closes the source when the consumer has enough", async () => {
    for (const blob of [gzipSync(big), zstd(big), big]) {
      let closed = false;
      async function* watched(): AsyncGenerator<Uint8Array> {
        try {
          yield* pieces(blob, 4096);
        } finally {
          closed = true;
        }
      }
      for await (const piece of decompress(watched())) {
        expect(piece.length).toBeGreaterThan(0);
        break;
      }
      expect(closed).toBe(true);
    }
  });

  it("reads no more of the source than the consumer needs", async () => {
    let read = 0;
    const blob = gzipSync(randomBytes(8_000_000), { level: 0 });
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const piece of pieces(blob, 65_536)) {
        read += piece.length;
        yield piece;
      }
    }
    const output = decompress(counted());
    await output.next();
    expect(read).toBeLessThan(4 * 65_536);
    await output.return();
  });

  it("gives the same bytes for every chunking, and never anything but a coded error for broken input", async () => {
    const blobs = [
      gzipSync(big.subarray(0, 3000)),
      zstd(big.subarray(0, 3000)),
      Buffer.concat([skippable(3), zstd("a")]),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...blobs),
        fc.integer({ min: 1, max: 4000 }),
        fc.array(fc.tuple(fc.nat(3100), fc.nat(255)), { maxLength: 3 }),
        async (blob, size, mutations) => {
          const broken = Buffer.from(blob);
          for (const [at, value] of mutations) if (at < broken.length) broken[at] = value;
          const outcome = async (step: number): Promise<string> => {
            try {
              return (await inflate(broken, step)).toString("latin1");
            } catch (error) {
              expect(error).toEqual(invalid);
              return "COMPRESSION_INVALID";
            }
          };
          expect(await outcome(size)).toBe(await outcome(5000));
        },
      ),
      { numRuns: 150 },
    );
  });

  const zstdPeer = findPeer("zstd");
  describe.skipIf(zstdPeer === undefined)("with zstd(1) as the writer", () => {
    it.each([["--ultra", "-20"], ["-1", "--no-check"], ["--long=27"], ["-3", "--no-content-size"]])(
      "reads %s",
      async (...flags) => {
        const blob = execFileSync(zstdPeer ?? "", ["-q", "-c", ...flags], { input: big, maxBuffer: 1e8 });
        expect((await inflate(blob)).equals(big)).toBe(true);
      },
    );
  });

  const gzipPeer = findPeer("gzip");
  describe.skipIf(gzipPeer === undefined)("with gzip(1) as the writer", () => {
    it("reads its output, file name and all", async () => {
      const blob = execFileSync(gzipPeer ?? "", ["-c", "-9"], { input: big, maxBuffer: 1e8 });
      expect((await inflate(blob)).equals(big)).toBe(true);
    });
  });
});
