/**
 * What every content store must do, as one suite for all ways of opening one. The first part follows the cases of containerd's
 * content test suite (Writer, CommitExists, Resume*, SmallBlob, CommitErrorState, ...), turned to this interface.
 */
import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openIngest } from "../../test/kit/store/open-ingest.ts";
import { sample } from "../../test/kit/store/sample.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf, parseDigest } from "../oci/digest.ts";
import type { Store } from "./store.ts";
import type { ContentInfo } from "./types.ts";

const MIB = 1024 * 1024;

export function contentSuite(how: string, open: (root: string) => Promise<Store>): void {
  describe(`content store, ${how}`, () => {
    it("Writer: blobs written side by side, in any order of their bytes, all arrive", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const blobs = [1, 1000, MIB, 2 * MIB + 7, 5 * MIB - 1].map((size, seed) => sample(size, seed));
      const ingests = await Promise.all(blobs.map((blob) => openIngest(store, blob)));
      const piece = 300_001;
      for (let start = Math.floor((5 * MIB) / piece) * piece; start >= 0; start -= piece) {
        await Promise.all(
          blobs.map(({ bytes, size }, index) =>
            start < size ? ingests[index]!.write(start, bytes.subarray(start, start + piece)) : Promise.resolve(),
          ),
        );
      }
      const infos = await Promise.all(blobs.map(({ digest, size }, index) => ingests[index]!.commit({ digest, size })));
      expect(infos).toEqual(
        blobs.map(({ digest, size }) => ({ digest, size, path: join(dir.path, "blobs/sha256", digest.slice(7)) })),
      );
      for (const { digest, bytes } of blobs)
        expect((await collect(store.content.read(digest))).equals(bytes)).toBe(true);
      expect(await sorted(store.content.list())).toEqual(infos.map((info) => info.digest).sort());
      await Promise.all(ingests.map((ingest) => ingest[Symbol.asyncDispose]()));
      expect(await readdir(join(dir.path, "ingest"))).toEqual([]);
    });

    it("UpdateStatus: what is done, and how far without a gap, can be seen at any time", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const blob = sample(1000);
      await using ingest = await openIngest(store, blob);
      expect([ingest.digest, ingest.size, ingest.front, ingest.done, ingest.resumed]).toEqual([
        blob.digest,
        1000,
        0,
        [],
        [],
      ]);
      await ingest.write(500, blob.bytes.subarray(500, 600));
      expect([ingest.front, ingest.done]).toEqual([0, [{ start: 500, end: 600 }]]);
      await ingest.write(0, blob.bytes.subarray(0, 500));
      expect([ingest.front, ingest.done]).toEqual([600, [{ start: 0, end: 600 }]]);
      expect(Buffer.from(await ingest.read(400, 200))).toEqual(blob.bytes.subarray(400, 600));
      await expect(ingest.read(590, 11)).rejects.toMatchObject({ code: "INTERNAL" });
      expect(await store.content.stat(blob.digest)).toBeUndefined();
      await expect(collect(store.content.read(blob.digest))).rejects.toMatchObject({ code: "BLOB_UNKNOWN" });
      const [partial] = await Array.fromAsync(store.content.ingests());
      expect(partial).toMatchObject({ digest: blob.digest });
    });

    it("CommitExists: what is there is answered with, and is not written twice", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const blob = sample(5000);
      const info = await store.content.writeBytes(blob.digest, blob.bytes);
      expect(await store.content.ingest(blob)).toEqual(info);
      expect(await store.content.writeBytes(blob.digest, blob.bytes)).toEqual(info);
      expect(await store.content.stat(blob.digest)).toEqual(info);
      expect((await stat(info.path)).mode & 0o777).toBe(0o444);
      // The digest decides: a descriptor with another size is the one that is wrong.
      await expect(store.content.ingest({ digest: blob.digest, size: 4999 })).rejects.toMatchObject({
        code: "SIZE_MISMATCH",
      });
    });

    it.each([0, 10, 50, 90, 100])("Resume: %i percent, closed and opened again, are still there", async (percent) => {
      await using dir = await tempDir();
      for (const size of [500, 5000, 50_000, 3 * MIB]) {
        const blob = sample(size, size);
        const cut = Math.floor((size * percent) / 100);
        {
          await using store = await open(dir.path);
          await using ingest = await openIngest(store, blob);
          await ingest.write(0, blob.bytes.subarray(0, cut));
        }
        await using store = await open(dir.path);
        await using ingest = await openIngest(store, blob);
        expect(ingest.resumed).toEqual(cut === 0 ? [] : [{ start: 0, end: cut }]);
        expect([ingest.done, ingest.front]).toEqual([ingest.resumed, cut]);
        await ingest.write(cut, blob.bytes.subarray(cut));
        await ingest.commit(blob);
        expect((await collect(store.content.read(blob.digest))).equals(blob.bytes)).toBe(true);
      }
    });

    it("ResumeDiscard: dropped data does not come back", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const blob = sample(50_000);
      {
        await using ingest = await openIngest(store, blob);
        await ingest.write(0, blob.bytes.subarray(0, 40_000));
        await ingest.checkpoint();
        await ingest.discard();
        await ingest.discard();
        await expect(ingest.write(0, blob.bytes)).rejects.toMatchObject({ code: "INTERRUPTED" });
      }
      await using ingest = await openIngest(store, blob);
      expect(ingest.resumed).toEqual([]);
      // What an earlier try left in the file must not shine through a hole.
      await ingest.writeZeros(0, 50_000);
      expect(Buffer.from(await ingest.read(0, 50_000)).equals(Buffer.alloc(50_000))).toBe(true);
    });

    it("SmallBlob: ranges are exact, and none goes past the end", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const blob = sample(2 * MIB + 10);
      await store.content.writeBytes(blob.digest, blob.bytes);
      const part = (start: number, end = blob.size): Promise<Buffer> =>
        collect(store.content.read(blob.digest, { start, end }));
      expect((await part(5, MIB + 6)).equals(blob.bytes.subarray(5, MIB + 6))).toBe(true);
      expect((await part(2 * MIB)).equals(blob.bytes.subarray(2 * MIB))).toBe(true);
      expect(await part(blob.size, blob.size)).toHaveLength(0);
      for (const [start, end] of [
        [0, blob.size + 1],
        [blob.size + 1, blob.size + 1],
        [7, 6],
        [-1, 3],
        [Number.NaN, 3],
      ] as const) {
        await expect(part(start, end)).rejects.toMatchObject({ code: "SIZE_MISMATCH" });
      }
      const chunks = await Array.fromAsync(store.content.read(blob.digest));
      expect(Math.max(...chunks.map((chunk) => chunk.length))).toBeLessThanOrEqual(MIB);
      expect(new Set(chunks.map((chunk) => chunk.buffer)).size).toBe(chunks.length);
      await expect(collect(store.content.read(blob.digest, { signal: AbortSignal.abort() }))).rejects.toMatchObject({
        code: "INTERRUPTED",
      });
    });

    it("SmallBlob: nothing at all is content too", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const empty = { digest: digestOf(""), size: 0 };
      await using ingest = await openIngest(store, empty);
      await ingest.waitFront(0);
      await ingest.commit(empty);
      expect(await collect(store.content.read(empty.digest))).toHaveLength(0);
    });

    it.each([
      ["wrong digest", "DIGEST_MISMATCH", { digest: digestOf("something else") }],
      ["wrong size", "SIZE_MISMATCH", { size: 4999 }],
    ])("CommitErrorState: poisoned data (%s) is put away, and the next try starts clean", async (_, code, lie) => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const blob = sample(5000);
      {
        await using ingest = await openIngest(store, blob);
        await ingest.write(0, Buffer.alloc(5000, 0xbd));
        await ingest.checkpoint();
        await expect(ingest.commit({ ...blob, ...lie })).rejects.toMatchObject({ code });
        await expect(ingest.commit(blob)).rejects.toMatchObject({ code: "INTERRUPTED" });
      }
      expect(await store.content.stat(blob.digest)).toBeUndefined();
      await using ingest = await openIngest(store, blob);
      expect(ingest.done).toEqual([]);
      await ingest.write(0, blob.bytes);
      await ingest.commit(blob);
      expect((await collect(store.content.read(blob.digest))).equals(blob.bytes)).toBe(true);
    });

    it("CommitErrorState: a digest is busy while it is open, and free after any end", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const blob = sample(5000);
      for (const end of ["commit", "discard", "close"] as const) {
        const ingest = await openIngest(store, blob);
        await expect(store.content.ingest(blob, { wait: false })).rejects.toMatchObject({ code: "STORE_BUSY" });
        expect(await store.content.remove(blob.digest)).toBe(false);
        await ingest.write(0, blob.bytes);
        if (end === "commit") await ingest.commit(blob);
        if (end === "discard") await ingest.discard();
        await ingest[Symbol.asyncDispose]();
        await ingest[Symbol.asyncDispose]();
        if (end === "commit") expect(await store.content.remove(blob.digest)).toBe(true);
        if (end === "close") expect(await store.content.removeIngest(blob.digest)).toBe(true);
      }
      expect(await readdir(join(dir.path, "ingest"))).toEqual([]);
    });

    it("reads small documents only as what they are called", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const blob = sample(5000);
      await expect(store.content.readBytes(blob.digest, 5000)).rejects.toMatchObject({ code: "BLOB_UNKNOWN" });
      await expect(store.content.writeBytes(blob.digest, Buffer.from("not it"))).rejects.toMatchObject({
        code: "DIGEST_MISMATCH",
      });
      const { path } = await store.content.writeBytes(blob.digest, blob.bytes);
      expect(Buffer.from(await store.content.readBytes(blob.digest, 5000))).toEqual(blob.bytes);
      await expect(store.content.readBytes(blob.digest, 4999)).rejects.toMatchObject({ code: "MANIFEST_TOO_LARGE" });
      await spoil(path, Buffer.alloc(5000));
      await expect(store.content.readBytes(blob.digest, 5000)).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
      await store.content.writeBytes(blob.digest, blob.bytes);
      expect(Buffer.from(await store.content.readBytes(blob.digest, 5000))).toEqual(blob.bytes);
    });

    it("fetches a blob again whose file lost its end", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const blob = sample(5000);
      const { path } = await store.content.writeBytes(blob.digest, blob.bytes);
      await spoil(path, blob.bytes.subarray(0, 4096));
      await using ingest = await openIngest(store, blob);
      await ingest.write(0, blob.bytes);
      await ingest.commit(blob);
      expect(await readFile(path)).toEqual(blob.bytes);
    });

    it("keeps what is leased", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const [whole, part] = [sample(100, 1), sample(100, 2)];
      await using lease = await store.leases.create();
      await lease.add(whole.digest, part.digest);
      await store.content.writeBytes(whole.digest, whole.bytes);
      {
        await using ingest = await openIngest(store, part);
        await ingest.write(0, part.bytes.subarray(0, 50));
      }
      expect(await store.content.remove(whole.digest)).toBe(false);
      expect(await store.content.removeIngest(part.digest)).toBe(false);
      await lease.release();
      expect(await store.content.remove(whole.digest)).toBe(true);
      expect(await store.content.remove(whole.digest)).toBe(false);
      expect(await store.content.removeIngest(part.digest)).toBe(true);
      expect(await store.content.stat(whole.digest)).toBeUndefined();
    });

    it("keeps sha512 beside sha256, and ignores what is neither", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const bytes = Buffer.from("twice");
      const digests = [digestOf(bytes), digestOf(bytes, "sha512")].sort();
      for (const digest of digests) await store.content.writeBytes(digest, bytes);
      await writeFile(join(dir.path, "blobs/sha256/README"), "not a blob");
      expect(await sorted(store.content.list())).toEqual(digests);
      expect(digests.map(parseDigest)).toEqual(digests);
    });
  });
}

async function sorted(infos: AsyncIterable<ContentInfo>): Promise<string[]> {
  return (await Array.fromAsync(infos, ({ digest }) => digest as string)).sort();
}

/** As a bad disk does it, which asks no permission. */
async function spoil(path: string, bytes: Uint8Array): Promise<void> {
  await chmod(path, 0o600);
  await writeFile(path, bytes);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(chunks));
}
