/** What an upload asks of its source, and what it never lets through to a registry that checks nothing. */
import { describe, expect, it } from "vitest";
import { at, collect, describeBlob, noise, opening, testClient } from "../../../test/kit/http/test-client.ts";
import { startRegistry } from "../../../test/kit/registry/registry.ts";
import { UploadTroubles } from "../../../test/kit/registry/upload-troubles.ts";
import type { OpenBlob } from "./blob-sink.ts";
import { UploadSource } from "./upload-source.ts";

const MIB = 1024 * 1024;
const BLOB = noise(12 * MIB);
const DESCRIPTOR = describeBlob(BLOB);

/** A registry that believes every digest, and whose line breaks after so many bytes of each request. */
async function credulous(...cuts: number[]) {
  return await startRegistry({ quirks: { credulous: true, uploadTroubles: new UploadTroubles({ cuts }) } });
}

describe("a source", () => {
  it("is read on where the hash was noted down last, not from its beginning", async () => {
    await using registry = await credulous(9 * MIB, MIB / 2);
    await using client = testClient();
    const opened: number[] = [];
    const open: OpenBlob = (start) => {
      opened.push(start);
      return opening(BLOB)(start);
    };
    await client.uploads(at(registry.host)).putBlob(DESCRIPTOR, open);
    expect(opened).toEqual([0, 8 * MIB, 8 * MIB]);
    expect((await collect(client.blobs(at(registry.host)).readBlob(DESCRIPTOR))).equals(BLOB)).toBe(true);
  });

  it("tells where the upload is, and nothing of what is read to be hashed once more", async () => {
    await using registry = await credulous(7 * MIB);
    await using client = testClient();
    const positions: number[] = [];
    await client.uploads(at(registry.host)).putBlob(DESCRIPTOR, opening(BLOB), {
      onEvent: (event) => void (event.type === "position" && positions.push(event.position)),
    });
    const again = positions.findIndex((position, index) => position < (positions[index - 1] ?? 0));
    expect(positions[0]).toBe(0);
    // The hash was noted down at 4 MiB; the registry has 7.
    expect(positions[again]).toBe(7 * MIB);
    for (const part of [positions.slice(0, again), positions.slice(again)])
      expect(part).toEqual(part.toSorted((a, b) => a - b));
    expect(positions.at(-1)).toBe(BLOB.length);
  });

  it("is read once for all chunks", async () => {
    await using registry = await credulous();
    await using client = testClient();
    let opened = 0;
    const open: OpenBlob = (start) => {
      opened++;
      return opening(BLOB)(start);
    };
    await client.uploads(at(registry.host)).putBlob(DESCRIPTOR, open, { chunkSize: MIB });
    expect(opened).toBe(1);
  });

  it("that was wrong before a break and is right after it leaves nothing wrong behind", async () => {
    for (const wrongAt of [0, 5 * MIB, 9 * MIB - 1]) {
      await using registry = await credulous(9 * MIB);
      await using client = testClient();
      const wrong = Buffer.from(BLOB);
      wrong[wrongAt]! ^= 1;
      let opened = 0;
      const open: OpenBlob = (start) => opening(opened++ === 0 ? wrong : BLOB)(start);
      const sink = client.uploads(at(registry.host));
      await expect(sink.putBlob(DESCRIPTOR, open)).rejects.toMatchObject({
        code: expect.stringMatching(/SOURCE_CHANGED|DIGEST_MISMATCH/),
      });
      expect(await sink.has(DESCRIPTOR)).toBe(false);
      expect(registry.requests.some(({ method, status }) => method === "PUT" && status === 201)).toBe(false);
    }
  });

  it("may change when nothing of it is kept", async () => {
    await using registry = await startRegistry({
      quirks: { credulous: true, uploadRange: false, uploadTroubles: new UploadTroubles({ cuts: [MIB] }) },
    });
    await using client = testClient();
    let opened = 0;
    const others = async function* (): AsyncGenerator<Uint8Array> {
      yield noise(2 * MIB, "others");
      await new Promise(() => {});
    };
    const open: OpenBlob = (start) => (opened++ === 0 ? others() : opening(BLOB)(start));
    await client.uploads(at(registry.host)).putBlob(DESCRIPTOR, open);
    expect((await collect(client.blobs(at(registry.host)).readBlob(DESCRIPTOR))).equals(BLOB)).toBe(true);
  });

  it("that is asked for another body lets the one before get nowhere", async () => {
    const source = new UploadSource(DESCRIPTOR, opening(BLOB), { limiter: undefined });
    const first = source.body(0, BLOB.length).open()[Symbol.asyncIterator]();
    const second = source.body(0, BLOB.length);
    await first.next();
    const late = first.next();
    const got = await collect(second.open());
    expect(got.equals(BLOB)).toBe(true);
    expect((await late).done === true || source.failure === undefined).toBe(true);
    expect((await first.next()).done).toBe(true);
    await source.complete();
    source.close();
  });
});
