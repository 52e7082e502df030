/** What everything that is pushed to has to hold to, whatever it keeps its content in; the protocol is built on no more than this. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { HostedContent } from "../../../src/daemon/distribution/hosted-content.ts";
import type { Asked } from "../../../src/daemon/distribution/types.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import { MEDIA_TYPES } from "../../../src/oci/media-types.ts";
import { createRng } from "../../kit/images/rng.ts";

export interface HostedPlace extends AsyncDisposable {
  readonly content: HostedContent;
  /** A directory from which files can be adopted. */
  readonly directory: string;
}

const ASKED: Asked = { signal: new AbortController().signal };
const ABSENT = digestOf("absent");

export function hostedContentSuite(open: () => Promise<HostedPlace>): void {
  let place: HostedPlace;
  let content: HostedContent;
  let files = 0;

  beforeEach(async () => {
    place = await open();
    ({ content } = place);
  });
  afterEach(() => place[Symbol.asyncDispose]());

  async function adopt(name: string, bytes: Uint8Array): Promise<Digest> {
    const file = join(place.directory, `file-${files++}`);
    await writeFile(file, bytes);
    await content.adoptBlob(name, digestOf(bytes), file, ASKED.signal);
    return digestOf(bytes);
  }

  async function read(name: string, digest: Digest, start?: number, end?: number): Promise<Buffer | undefined> {
    const blob = await content.blob(name, digest, ASKED);
    if (blob === undefined) return undefined;
    return Buffer.concat(await Array.fromAsync(blob.read(start ?? 0, end ?? blob.size, ASKED.signal)));
  }

  const manifestOf = (text: string) => {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, text }));
    return { digest: digestOf(bytes), mediaType: MEDIA_TYPES.ociManifest, bytes };
  };

  it("has nothing of what nobody pushed", async () => {
    expect(await content.blob("a", ABSENT, ASKED)).toBeUndefined();
    expect(await content.hasBlob("a", ABSENT)).toBeUndefined();
    expect(await content.manifest("a", "tag", ASKED)).toBeUndefined();
    expect(await content.manifest("a", ABSENT, ASKED)).toBeUndefined();
    expect(await content.hasManifest("a", ABSENT)).toBe(false);
    expect(await content.tags("a", ASKED)).toBeUndefined();
    expect(await content.referrers("a", ABSENT, ASKED)).toEqual([]);
    expect(await content.deleteBlob("a", ABSENT)).toBe(false);
    expect(await content.deleteManifest("a", ABSENT)).toBe(false);
    expect(await content.deleteTag("a", "tag")).toBe(false);
    expect(await content.mountBlob("a", ABSENT, undefined)).toBe(false);
    expect(await content.mountBlob("a", ABSENT, "b")).toBe(false);
  });

  it("gives blobs as they were adopted, whole and in parts, to their repository alone", async () => {
    const bytes = createRng(1).bytes(300_000);
    const digest = await adopt("a", bytes);
    expect(await content.hasBlob("a", digest)).toBe(bytes.length);
    expect((await read("a", digest))?.equals(bytes)).toBe(true);
    expect((await read("a", digest, 5, 270_000))?.equals(bytes.subarray(5, 270_000))).toBe(true);
    expect(await content.blob("b", digest, ASKED)).toBeUndefined();
    expect((await read("a", await adopt("a", Buffer.alloc(0))))?.length).toBe(0);
    // Once more, as by two who push the same.
    await Promise.all([adopt("a", bytes), adopt("b", bytes)]);
    for (const name of ["a", "b"]) expect((await read(name, digest))?.equals(bytes)).toBe(true);
  });

  it("mounts what is there, and a deletion concerns one repository", async () => {
    const digest = await adopt("a", Buffer.from("layer"));
    expect(await content.mountBlob("b", digest, "c")).toBe(false);
    expect(await content.mountBlob("b", digest, "a")).toBe(true);
    expect(await content.mountBlob("c", digest, undefined)).toBe(true);
    expect(await content.deleteBlob("a", digest)).toBe(true);
    expect(await content.deleteBlob("a", digest)).toBe(false);
    expect(await content.blob("a", digest, ASKED)).toBeUndefined();
    for (const name of ["b", "c"]) expect((await read(name, digest))?.toString()).toBe("layer");
  });

  it("goes on with a read though the blob is deleted beside it", async () => {
    const bytes = createRng(2).bytes(3 << 20);
    const digest = await adopt("a", bytes);
    const blob = (await content.blob("a", digest, ASKED))!;
    const chunks: Uint8Array[] = [];
    for await (const chunk of blob.read(0, blob.size, ASKED.signal)) {
      chunks.push(Buffer.from(chunk));
      await content.deleteBlob("a", digest);
    }
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  });

  it("finds manifests by tag and digest, and lists tags in order", async () => {
    const [one, two] = [manifestOf("one"), manifestOf("two")];
    expect(await content.putManifest("a", { manifest: one, tags: ["b", "B", "a"] })).toBe(true);
    expect(await content.putManifest("a", { manifest: two, tags: ["b"] })).toBe(true);
    for (const [reference, wanted] of [
      ["a", one],
      ["b", two],
      [one.digest, one],
      [two.digest, two],
    ] as const) {
      const found = await content.manifest("a", reference, ASKED);
      expect(found && { ...found, bytes: Buffer.from(found.bytes) }).toEqual(wanted);
      const head = await content.resolve?.("a", reference, ASKED);
      if (head !== undefined) expect(head).toMatchObject({ digest: wanted.digest, size: wanted.bytes.length });
    }
    expect(await content.tags("a", ASKED)).toEqual(["B", "a", "b"]);
    expect(await content.hasManifest("b", one.digest)).toBe(false);
    expect(await content.deleteTag("a", "B")).toBe(true);
    expect(await content.hasManifest("a", one.digest)).toBe(true);
    expect(await content.deleteManifest("a", one.digest)).toBe(true);
    expect(await content.tags("a", ASKED)).toEqual(["b"]);
    expect(await content.deleteManifest("a", two.digest)).toBe(true);
    expect(await content.tags("a", ASKED)).toEqual([]);
  });

  it("lists referrers until they are deleted", async () => {
    const one = manifestOf("one");
    const descriptor = { mediaType: one.mediaType, digest: one.digest, size: one.bytes.length, artifactType: "test/x" };
    await content.putManifest("a", { manifest: one, tags: [], referrer: { subject: ABSENT, descriptor } });
    expect(await content.referrers("a", ABSENT, ASKED)).toEqual([descriptor]);
    expect(await content.referrers("b", ABSENT, ASKED)).toEqual([]);
    await content.deleteManifest("a", one.digest);
    expect(await content.referrers("a", ABSENT, ASKED)).toEqual([]);
  });

  it("puts one of many manifests that replace the same one", async () => {
    const first = manifestOf("first");
    await content.putManifest("a", { manifest: first, tags: ["t"] });
    const put = await Promise.all(
      Array.from({ length: 10 }, (_, number) =>
        content.putManifest("a", {
          manifest: manifestOf(`next ${number}`),
          tags: ["t"],
          when: { reference: "t", is: (now) => now === first.digest },
        }),
      ),
    );
    expect(put.filter(Boolean)).toHaveLength(1);
    const now = (await content.manifest("a", "t", ASKED))?.digest;
    expect(now).toBe(manifestOf(`next ${put.indexOf(true)}`).digest);
  });
}
