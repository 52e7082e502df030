/** How an ingest behaves between its opening and its end, for all ways of opening a store; see types.ts for the contract. */
import { readFile, stat } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { openIngest as openBlob } from "../../test/kit/store/open-ingest.ts";
import { sample } from "../../test/kit/store/sample.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import type { Store } from "./store.ts";
import type { ContentInfo, Ingest } from "./types.ts";

const MIB = 1024 * 1024;

/** Opens an ingest of the blob, of whatever kind; `offset` is where it lies in the file that its path names. */
export type IngestOpener = (
  store: Store,
  blob: { digest: ContentInfo["digest"]; size: number },
) => Promise<Ingest & { readonly offset?: number }>;

export function ingestSuite(
  how: string,
  open: (root: string) => Promise<Store>,
  openIngest: IngestOpener = openBlob,
): void {
  describe(`ingest, ${how}`, () => {
    it("commits nothing that has a gap", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const blob = sample(5000);
      await using ingest = await openIngest(store, blob);
      await ingest.write(1, blob.bytes.subarray(1));
      await expect(ingest.commit(blob)).rejects.toMatchObject({ code: "INTERNAL" });
      await ingest.write(0, blob.bytes.subarray(0, 1));
      await ingest.commit(blob);
    });

    it("takes no byte beyond the size that was announced", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      await using ingest = await openIngest(store, sample(100));
      for (const position of [1, 100, -1, 0.5, Number.NaN, 2 ** 60]) {
        await expect(ingest.write(position, new Uint8Array(100))).rejects.toMatchObject({ code: "INGEST_LIMIT" });
        await expect(ingest.writeZeros(position, 100)).rejects.toMatchObject({ code: "INGEST_LIMIT" });
      }
      await ingest.write(100, new Uint8Array(0));
      expect(ingest.done).toEqual([]);
    });

    it("keeps runs of zeros as holes, and makes them real where bytes had been", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const size = 64 * MIB;
      const bytes = Buffer.alloc(size);
      bytes.write("head");
      const blob = { digest: digestOf(bytes), size };
      await using ingest = await openIngest(store, blob);
      await ingest.write(0, Buffer.from("head and some bytes that were wrong"));
      await ingest.writeZeros(4, size - 4);
      const info = await ingest.commit(blob);
      const { offset = 0 } = ingest;
      expect((await stat(info.path)).size).toBeGreaterThanOrEqual(offset + size);
      expect((await stat(info.path)).blocks * 512).toBeLessThan(MIB);
      expect((await readFile(info.path)).subarray(offset, offset + size).equals(bytes)).toBe(true);
    });

    it("wakes those who wait for the front, and tells them why when it will not come", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const blob = sample(100);
      const ingest = await openIngest(store, blob);
      const first = ingest.waitFront(0);
      const late = ingest.waitFront(50);
      const aborted = ingest.waitFront(50, AbortSignal.abort(new Error("enough")));
      await expect(aborted).rejects.toThrow("enough");
      const controller = new AbortController();
      const soonAborted = ingest.waitFront(50, controller.signal);
      controller.abort(new Error("changed my mind"));
      await expect(soonAborted).rejects.toThrow("changed my mind");
      await ingest.write(0, blob.bytes.subarray(0, 50));
      await first;
      const reason = new Error("the network went away");
      ingest.fail(reason);
      await expect(late).rejects.toBe(reason);
      await expect(ingest.waitFront(50)).rejects.toBe(reason);
      await ingest.waitFront(49);
      await ingest[Symbol.asyncDispose]();
      expect((await openAndClose(openIngest, store, blob)).resumed).toEqual([{ start: 0, end: 50 }]);

      await using again = await openIngest(store, blob);
      const closed = codeOf(again.waitFront(60));
      await again[Symbol.asyncDispose]();
      expect(await closed).toBe("INTERRUPTED");
      await expect(again.read(0, 1)).rejects.toMatchObject({ code: "INTERRUPTED" });
    });

    it("leaves nothing to the next try that was taken back", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const blob = sample(1000);
      {
        await using ingest = await openIngest(store, blob);
        await ingest.write(0, blob.bytes.subarray(0, 300));
        await ingest.write(500, blob.bytes.subarray(500, 900));
        ingest.forget(100, 500);
        expect(ingest.front).toBe(100);
      }
      const { resumed } = await openAndClose(openIngest, store, blob);
      expect(resumed).toEqual([
        { start: 0, end: 100 },
        { start: 600, end: 900 },
      ]);
    });

    it("lets readers finish that followed the front while it was committed", async () => {
      await using dir = await tempDir();
      await using store = await open(dir.path);
      const blob = sample(1000);
      await using ingest = await openIngest(store, blob);
      await ingest.write(0, blob.bytes);
      const info = await ingest.commit(blob);
      await ingest.waitFront(999);
      expect(ingest.path).toBe(info.path);
      expect(Buffer.from(await ingest.read(900, 100))).toEqual(blob.bytes.subarray(900));
    });
  });
}

async function openAndClose(
  openIngest: IngestOpener,
  store: Store,
  blob: { digest: ContentInfo["digest"]; size: number },
): Promise<{ resumed: unknown }> {
  await using ingest = await openIngest(store, blob);
  return { resumed: ingest.resumed };
}

/** The code that a promise rejects with; for those that must be asked for before they are waited for. */
async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  const [result] = await Promise.allSettled([promise]);
  return result.status === "rejected" ? (result.reason as { code?: unknown }).code : undefined;
}
