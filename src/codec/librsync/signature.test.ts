/** Signatures as they are written and read, and deltas made from them: vectors of `rdiff` 2.3.2, all kinds and sizes, and what is wrong with others. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gather, inPieces } from "../../../test/codec/streams.ts";
import { memoryBase } from "./base.ts";
import { STRONG_SUMS, WEAK_SUMS } from "./kinds.ts";
import { applyDelta } from "./patch.ts";
import { readSignature } from "./read-signature.ts";
import { resolveHead, type SignatureOptions } from "./signature-sizes.ts";
import { writeSignature } from "./write-signature.ts";
import { writeSignatureDelta } from "./write-signature-delta.ts";

const text = (of: string): Uint8Array => new TextEncoder().encode(of);
const hex = (of: string): Uint8Array => Uint8Array.from(Buffer.from(of.replaceAll(" ", ""), "hex"));
const signed = (bytes: Uint8Array, options: SignatureOptions = {}, piece = 1000): Promise<Buffer> =>
  gather(writeSignature(inPieces(bytes, piece), { size: bytes.length, ...options }));

/** The delta by way of the signature; it has to make the target. */
async function delta(base: Uint8Array, target: Uint8Array, options?: SignatureOptions, piece = 1000): Promise<Buffer> {
  const signature = await readSignature(inPieces(await signed(base, options, piece), piece));
  const made = await gather(writeSignatureDelta(signature, inPieces(target, piece)));
  const result = await gather(applyDelta(memoryBase(base), inPieces(made, piece)));
  expect(Buffer.compare(result, target)).toBe(0);
  return made;
}

const HELLO = "324dcf027dd4a30a932c441f365a25e86b173defa4b8e58948253471b81b72cf";

it.each<readonly [string, string, SignatureOptions]>([
  ["hello", `72730147 00000100 00000020 c9183e85 ${HELLO}`, {}],
  ["hello", `72730137 00000200 00000020 07f802af ${HELLO}`, { weak: "rollsum", blockBytes: 512 }],
  [
    "hello",
    "72730136 00000100 00000008 07f802af 866437cb7a794bce",
    { strong: "md4", weak: "rollsum", strongBytes: 8, blockBytes: 256 },
  ],
  ["", "72730147 00000100 00000020", {}],
])("the signature of %j is %s", async (input, signature, options) => {
  expect((await signed(text(input), options)).toString("hex")).toBe(signature.replaceAll(" ", ""));
});

it("sizes are those of rdiff where nobody says them", () => {
  const sizes = (options: SignatureOptions): readonly number[] => {
    const { blockBytes, strongBytes } = resolveHead(options);
    return [blockBytes, strongBytes];
  };
  expect(sizes({})).toEqual([2048, 32]);
  expect(sizes({ size: 65_536 })).toEqual([256, 32]);
  expect(sizes({ size: 116_900_000 })).toEqual([10_752, 32]);
  expect(sizes({ strong: "md4" })).toEqual([2048, 16]);
  expect(sizes({ strongBytes: "least" })).toEqual([2048, 12]);
  expect(sizes({ size: 1000, strongBytes: "least" })).toEqual([256, 2 + 4]);
  for (const wrong of [
    { blockBytes: 0 },
    { blockBytes: 2 ** 32 },
    { strongBytes: 33 },
    { strong: "md4", strongBytes: 17 },
  ] as const) {
    expect(() => sizes(wrong)).toThrow(expect.objectContaining({ code: "USAGE" }));
  }
});

describe("a signature is refused", () => {
  it.each([
    ["72730147 00000100", "ends within its first words"],
    ["72730148 00000100 00000020", "first words"],
    ["72730147 00000000 00000020", "blocks are empty"],
    ["72730147 00000100 00000021", "33 bytes"],
    ["72730146 00000100 00000011", "17 bytes"],
    ["72730147 00000100 00000002 c9183e85 11", "ends within a block"],
    ["72730147 00000100 00000002 c9", "ends within a block"],
  ])("%s: %s", async (bytes, said) => {
    const read = readSignature(inPieces(hex(bytes), 5));
    await expect(read).rejects.toMatchObject({ code: "SIGNATURE_INVALID", message: expect.stringContaining(said) });
  });

  it("that is larger than is allowed", async () => {
    // Twelve blocks of 36 bytes each.
    const read = async (limits: object): Promise<number> =>
      (await readSignature(inPieces(await signed(new Uint8Array(3000)), 100), limits)).blocks;
    await expect(read({ limit: 431 })).rejects.toMatchObject({ code: "SIGNATURE_LIMIT" });
    await expect(read({ blockLimit: 11 })).rejects.toMatchObject({ code: "SIGNATURE_LIMIT" });
    expect(await read({ limit: 432, blockLimit: 12 })).toBe(12);
  });
});

it("deltas of small files are those of rdiff", async () => {
  const made = async (base: string, target: string): Promise<string> =>
    (await delta(text(base), text(target))).toString("hex");
  expect(await made("hello", "hello")).toBe("727302364500 0500".replaceAll(" ", ""));
  expect(await made("hello", "Xhello")).toBe("727302360158 45000500".replaceAll(" ", ""));
  expect(await made("hello", "")).toBe("7273023600");
  expect(await made("", "A")).toBe("72730236014100");
});

it("runs of equal blocks are one copy", async () => {
  const zeros = new Uint8Array(1_000_000);
  expect((await delta(zeros, zeros, { blockBytes: 512 })).length).toBeLessThan(12);
  expect((await delta(zeros, zeros.subarray(0, 999_999), { blockBytes: 512 })).length).toBeLessThan(600);
});

it("many blocks of one weak sum take no longer than others", async () => {
  // Each block has the same bytes in pairs that leave a rollsum alone: +1, -2, +1.
  const blocks = 20_000;
  const base = new Uint8Array(blocks * 64).fill(100);
  for (let block = 0; block < blocks; block++) {
    for (let bit = 0; bit < 16; bit++) {
      if (((block >> bit) & 1) === 0) continue;
      const at = block * 64 + 4 * bit;
      base[at]! += 1;
      base[at + 1]! -= 2;
      base[at + 2]! += 1;
    }
  }
  const signature = await readSignature(inPieces(await signed(base, { weak: "rollsum", blockBytes: 64 }), 9000));
  const view = new DataView(signature.rows.buffer, signature.rows.byteOffset);
  const sums = new Set(Array.from({ length: blocks }, (_, block) => view.getUint32(block * signature.rowBytes)));
  expect(sums.size).toBe(1);
  const backwards = Buffer.concat(
    Array.from({ length: 1000 }, (_, at) => base.subarray((blocks - 1 - at) * 64, (blocks - at) * 64)),
  );
  const made = await gather(writeSignatureDelta(signature, inPieces(backwards, 5000)));
  expect(Buffer.compare(await gather(applyDelta(memoryBase(base), inPieces(made, 700))), backwards)).toBe(0);
  expect(made.length).toBeLessThan(1000 * 7 + 6);
});

it("blocks larger than the file, and larger than what is held", async () => {
  const bytes = new Uint8Array(3_000_000).map((_, at) => (at * at) >> 9);
  for (const blockBytes of [2_000_000, 2_999_999, 3_000_000, 5_000_000, 4_000_000_000]) {
    const options = { blockBytes };
    if (blockBytes > 128 << 20) {
      await expect(delta(bytes, bytes, options, 100_000)).rejects.toMatchObject({ code: "SIGNATURE_LIMIT" });
    } else expect((await delta(bytes, bytes, options, 100_000)).length).toBeLessThan(20);
  }
});

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }),
  fc.array(fc.tuple(fc.nat(3), fc.nat(300)), { maxLength: 20 }).map((parts) => {
    return Buffer.concat(
      parts.map(([kind, length]) => Buffer.alloc(length, ["\0", "ab", "the same line\n", "xyz"][kind])),
    );
  }),
);
/** What becomes of a file: parts of it, and other things. */
const edits = fc.array(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.tuple(fc.nat(3000), fc.nat(2000))), {
  maxLength: 6,
});

describe.each(WEAK_SUMS.flatMap((weak) => STRONG_SUMS.map((strong) => ({ weak, strong }))))(
  "$weak, $strong",
  (kind) => {
    it("whatever the files are, the delta makes the new one", async () => {
      const sizes = fc.constantFrom(1, 7, 64, 431, 777, 5000);
      await fc.assert(
        fc.asyncProperty(bytes, edits, sizes, fc.constantFrom(1, 100, 5000), async (base, list, blockBytes, piece) => {
          const parts = list.map((edit) =>
            edit instanceof Uint8Array ? edit : base.subarray(edit[0], edit[0] + edit[1]),
          );
          await delta(base, Buffer.concat(parts), { ...kind, blockBytes }, piece);
          const same = await delta(base, base, { ...kind, blockBytes }, piece);
          if (base.length > 100) expect(same.length).toBeLessThan(14);
        }),
        { numRuns: 40 },
      );
    });
  },
);

it("whatever bytes come, reading ends in a signature or a coded error", async () => {
  const anything = fc.tuple(fc.constantFrom("72730136", "72730147", "00"), fc.uint8Array({ maxLength: 100 }));
  await fc.assert(
    fc.asyncProperty(anything, async ([magic, rest]) => {
      const read = readSignature(inPieces(Buffer.concat([hex(magic), rest]), 9));
      const code = await read.then(
        () => "fine",
        (error: { code?: string }) => error.code,
      );
      expect(["fine", "SIGNATURE_INVALID"]).toContain(code);
    }),
  );
});
