/** Pulls, removals and collections of disks at the same time: an image that is recorded has its disk, and what nobody has goes in the end. */
import { describe, expect, it } from "vitest";
import { tartImage, type TartImage } from "../../../test/kit/disk/tart-image.ts";
import { createRng, type Rng } from "../../../test/kit/images/rng.ts";
import { sample } from "../../../test/kit/store/sample.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { diskKey } from "../../codec/tart/disk-key.ts";
import { readDiskImage } from "../../codec/tart/read-disk-image.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { openStore, type Store } from "../store.ts";

const ROUNDS = 40;
const NAMES = 3;

interface Machine extends TartImage {
  readonly key: Digest;
}

const machines = Array.from({ length: 4 }, (_, seed): Machine => {
  const image = tartImage(sample(20_000, seed).bytes);
  return { ...image, key: diskKey(readDiskImage(image.manifest)!.disks[0]!) };
});

/** As a pull does it: lease, look, make what is missing, record, release. */
async function put(store: Store, name: string, { key, manifest, disk: bytes }: Machine): Promise<void> {
  await using lease = await store.leases.create();
  await lease.add(key, manifest.digest);
  const content = { digest: digestOf(bytes), size: bytes.length, offset: 0 };
  const disk = { key, size: bytes.length };
  const found = (await store.disks.holds(disk)) ? undefined : await store.disks.open(disk);
  if (found !== undefined && "commit" in found) {
    await using disk = found;
    if (!disk.isDone(content)) {
      await using window = await disk.window(content);
      await window.write(0, bytes);
      await window.commit(content);
    }
    await disk.commit([content]);
  }
  await store.content.writeBytes(manifest.digest, manifest.bytes);
  const descriptor = { digest: manifest.digest, mediaType: manifest.mediaType, size: manifest.bytes.length };
  await store.images.put({ name, descriptor, manifest: descriptor });
}

async function churn(store: Store, rng: Rng): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const name = `a.example/machine:${rng.int(NAMES)}`;
    if (rng.int(3) === 0) await store.images.delete(name).catch(() => {});
    else await put(store, name, rng.pick(machines));
  }
}

async function collectUntil(store: Store, work: { readonly over: boolean }): Promise<void> {
  while (!work.over) await store.collectGarbage({ partialsOlderThanMs: 0 });
}

async function expectWhole(store: Store): Promise<Set<Digest>> {
  const needed = new Set<Digest>();
  for (const { manifest } of await store.images.list()) {
    const { key, disk } = machines.find((one) => one.manifest.digest === manifest.digest)!;
    needed.add(key);
    expect(await store.disks.stat(key)).toMatchObject({ size: disk.length });
    expect(await store.disks.contentsOf(key)).toHaveLength(1);
    expect(await store.content.stat(manifest.digest)).toBeDefined();
  }
  return needed;
}

describe("disks that are made, shared and taken out while garbage is collected", () => {
  it("are there as long as an image has them", async () => {
    await using dir = await tempDir();
    await using one = await openStore(dir.path, { sync: false });
    await using other = await openStore(dir.path, { sync: false });
    await using collector = await openStore(dir.path, { sync: false });
    const rng = createRng(7);
    const churning = { over: false };
    const collecting = collectUntil(collector, churning);
    await Promise.all([churn(one, rng.fork()), churn(other, rng.fork())]);
    churning.over = true;
    await collecting;
    const needed = await expectWhole(one);
    await collector.collectGarbage({ partialsOlderThanMs: 0 });
    await expectWhole(one);
    expect(new Set(await Array.fromAsync(one.disks.list(), ({ key }) => key))).toEqual(needed);
    expect(await Array.fromAsync(one.disks.partials())).toEqual([]);
  });
});
