/** Blobs that are read from their first byte to their last: one stream and nothing else, and of the digest that the manifest says. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mixedContent } from "../../test/codec/apple-lz4/content.ts";
import { blocksOf } from "../../test/codec/apple-lz4/frames.ts";
import { appleLz4 } from "../../test/kit/disk/tart-image.ts";
import { FileIngest } from "../../test/kit/recipe/file-ingest.ts";
import { MemoryBlobs, type MemoryBlobsOptions } from "../../test/kit/recipe/memory-blobs.ts";
import { bordersOf } from "../../test/kit/recipe/memory-checkpoints.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import type { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestOf } from "../oci/digest.ts";
import { planContent } from "../plan/disk-content.ts";
import type { ByteRange } from "../store/types.ts";
import { assemble, type AssemblyReport } from "./assembler.ts";
import type { FramesSegment, Recipe } from "./segment.ts";

const content = mixedContent(300_000, 21);
const stream = appleLz4(content);
const END = Buffer.from("bv4$");
const codec = "apple-lz4";

let dir: TempDir;
beforeAll(async () => void (dir = await tempDir()));
afterAll(() => dir[Symbol.asyncDispose]());

let files = 0;

interface Outcome {
  readonly report: AssemblyReport;
  readonly bytes: Buffer;
}

const WRONG = /^(COMPRESSION_INVALID|SIZE_MISMATCH|DIGEST_MISMATCH)$/;

/** @param held what an earlier try has left of the content */
async function make(recipe: Recipe, blobs: MemoryBlobs, held: readonly ByteRange[] = []): Promise<Outcome> {
  const path = join(dir.path, `ingest-${files++}`);
  await writeFile(path, content.subarray(0, held[0]?.end ?? 0));
  await using ingest = await FileIngest.open({ path, ...recipe.target, resumed: held });
  try {
    const report = await assemble(recipe, { ingest, blobs });
    return { report, bytes: await readFile(ingest.path) };
  } finally {
    expect(blobs.active).toBe(0);
    if (ingest.failure !== undefined) expect(ingest.discarded).toBe(true);
  }
}

const chunkOf = (blob: Descriptor) =>
  ({ blob, coding: codec, offset: 0, size: content.length, digest: digestOf(content) }) as const;

function whole(bytes: Uint8Array, options: MemoryBlobsOptions = {}, said = digestOf(bytes)): [Recipe, MemoryBlobs] {
  const blobs = new MemoryBlobs(options);
  return [planContent(chunkOf(blobs.add(bytes, said))).recipe, blobs];
}

/** A block that repeats what lies so many bytes before it. */
function withMatch(distance: number): Buffer {
  const body = [0x10, 7, distance & 255, distance >> 8, 0x50, ...Buffer.from("VWXYZ")];
  const header = Buffer.alloc(12);
  header.write("bv41");
  header.writeUInt32LE(10, 4);
  header.writeUInt32LE(body.length, 8);
  return Buffer.concat([header, Buffer.from(body)]);
}

describe("a blob that should be one stream", () => {
  it("is taken when it is", async () => {
    const { bytes } = await make(...whole(stream));
    expect(bytes.equals(content)).toBe(true);
  });

  const [first] = bordersOf(stream);
  const cut = stream.subarray(0, -END.length);
  it.each<[string, Uint8Array, RegExp]>([
    ["it has no end", cut, /cut short/],
    ["it ends within its end", stream.subarray(0, -1), /cut short/],
    ["it ends within a block", stream.subarray(0, -1000), /cut short|fewer/],
    ["a byte follows its end", Buffer.concat([stream, Buffer.from("x")]), /follows its end/],
    ["another end follows", Buffer.concat([stream, END]), /follows its end/],
    ["an empty block follows", Buffer.concat([stream, Buffer.from("bv4-\0\0\0\0")]), /follows its end/],
    [
      "it is two streams",
      Buffer.concat([cut.subarray(0, first!.encoded), END, appleLz4(content.subarray(first!.decoded))]),
      /follows its end/,
    ],
    ["it begins with an empty stream", Buffer.concat([END, stream]), /follows its end/],
    ["it is empty", END, /fewer/],
    ["there is nothing", Buffer.alloc(0), /fewer|cut short|segment/],
    ["a byte is missing", appleLz4(content.subarray(1)), /fewer/],
    ["there is a byte more", appleLz4(Buffer.concat([content, Buffer.from("x")])), /more/],
    ["there is much more", appleLz4(Buffer.concat([content, Buffer.alloc(40 << 20)])), /more/],
    ["it refers to what is before its start", Buffer.concat([withMatch(2), stream]), /before the first byte/],
    ["it refers to what is far before its start", Buffer.concat([withMatch(65_535), stream]), /before the first byte/],
    ["it is noise", digestNoise(), /no block begins/],
  ])("is refused when %s", async (_, bytes, message) => {
    await expect(make(...whole(bytes))).rejects.toMatchObject({
      code: expect.stringMatching(/^(COMPRESSION_INVALID|SIZE_MISMATCH)$/) as string,
      message: expect.stringMatching(message) as string,
      detail: { whole: true, segment: { kind: "frames" } },
    });
  });

  it("never makes anything else than the content, however it is spoilt, and wherever it is taken up", async () => {
    const borders = bordersOf(stream);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 3 }),
        fc.nat({ max: 3 }),
        fc.option(fc.constantFrom(...borders)),
        fc.integer({ min: -3, max: 3 }),
        async (changes, headers, border, shift) => {
          const bytes = Buffer.from(stream);
          // Some of the changes are in a block's header.
          const starts = [0, ...borders.map(({ encoded }) => encoded)];
          for (const [index, [at, value]] of changes.entries()) {
            bytes[index < headers ? starts[at % starts.length]! + (at % 12) : at % bytes.length] = value;
          }
          const blobs = new MemoryBlobs();
          const chunk = chunkOf(blobs.add(bytes));
          const held = border === null ? [] : [{ start: 0, end: border.decoded }];
          const wrong = border && { encoded: border.encoded + shift, decoded: border.decoded };
          const { recipe } = planContent(chunk, { held, checkpoints: { before: () => wrong ?? undefined } });
          const outcome = await make(recipe, blobs, held).catch((error: VarveError) => error);
          if ("report" in outcome) expect(outcome.bytes.equals(content)).toBe(true);
          else expect(outcome).toMatchObject({ code: expect.stringMatching(WRONG) as string, detail: { whole: true } });
        },
      ),
      { numRuns: 150 },
    );
  });

  it("may be taken in pieces, which end behind any block, or with the stream", async () => {
    const blobs = new MemoryBlobs();
    // Two streams, of which pieces are taken out of order.
    const halves = [content.subarray(0, 150_000), content.subarray(150_000)] as const;
    const streams = halves.map(appleLz4) as [Buffer, Buffer];
    const blob = blobs.add(Buffer.concat(streams));
    const [start, behind] = [blocksOf(streams[0])[0]!, streams[0].length];
    expect(start.decoded).toBe(65_536);
    const piece = (from: number, length: number, bytes: Uint8Array): FramesSegment => {
      return { kind: "frames", blob, start: from, length, codec, size: bytes.length, digest: digestOf(bytes) };
    };
    const header = start.kind === "bv41" ? 12 : 8;
    const pieces = [
      piece(behind, streams[1].length, halves[1]),
      piece(0, header + start.body.length, halves[0].subarray(0, 65_536)),
      piece(0, behind, halves[0]),
      piece(0, behind - END.length, halves[0]),
      piece(behind, streams[1].length - END.length, halves[1]),
    ];
    const bytes = Buffer.concat([halves[1], halves[0].subarray(0, 65_536), halves[0], halves[0], halves[1]]);
    const target = { digest: digestOf(bytes), size: bytes.length };
    expect((await make({ target, segments: pieces }, blobs)).bytes.equals(bytes)).toBe(true);
  });
});

describe("a blob of another digest", () => {
  const said = digestOf("what the manifest says");
  const mismatch = {
    code: "DIGEST_MISMATCH",
    message: expect.stringContaining(said) as string,
    detail: { expected: said, computed: digestOf(stream), whole: true },
  };

  it("is refused, although it decodes to what it should", async () => {
    for (const ranges of [true, false]) {
      await expect(make(...whole(stream, { ranges }, said))).rejects.toMatchObject(mismatch);
    }
  });

  it("is refused where it is not compressed, or compressed another way", async () => {
    const blobs = new MemoryBlobs();
    const blob = blobs.add(content, said);
    const chunk = { blob, coding: "stored", offset: 0, size: content.length, digest: digestOf(content) } as const;
    const stored = make(planContent(chunk).recipe, blobs);
    await expect(stored).rejects.toMatchObject({ ...mismatch, detail: { expected: said, computed: chunk.digest } });
  });

  it("is refused where its pieces are cut from one stream", async () => {
    const blobs = new MemoryBlobs({ ranges: false });
    const blob = blobs.add(content, said);
    const segments = [0, 100_000, 200_000].map((start) => ({ kind: "remote", blob, start, length: 100_000 }) as const);
    // Others between them, so that each is a request.
    const between = Buffer.from("between");
    const bytes = Buffer.concat(segments.flatMap(({ start }) => [content.subarray(start, start + 100_000), between]));
    const recipe: Recipe = {
      target: { digest: digestOf(bytes), size: bytes.length },
      segments: segments.flatMap((segment) => [segment, { kind: "data", bytes: between } as const]),
    };
    await expect(make(recipe, blobs)).rejects.toMatchObject({ code: "DIGEST_MISMATCH", detail: { expected: said } });
    const good = new MemoryBlobs({ ranges: false });
    good.add(content, digestOf(content));
    const named = (of: Descriptor): Descriptor => ({ ...of, digest: digestOf(content) });
    const right = segments.flatMap((segment) => [
      { ...segment, blob: named(blob) },
      { kind: "data", bytes: between } as const,
    ]);
    expect((await make({ ...recipe, segments: right }, good)).bytes.equals(bytes)).toBe(true);
  });

  it("is not found out where only a part of it is read, which the whole's digest vouches for", async () => {
    const blobs = new MemoryBlobs();
    const blob = blobs.add(Buffer.concat([content, Buffer.from("more")]), said);
    const target = { digest: digestOf(content), size: content.length };
    const recipe: Recipe = { target, segments: [{ kind: "remote", blob, start: 0, length: content.length }] };
    expect((await make(recipe, blobs)).bytes.equals(content)).toBe(true);
  });
});

function digestNoise(): Buffer {
  return Buffer.from(digestOf("noise").repeat(20));
}
