/**
 * A store with random things in it, and what of them is needed: images that share layers and manifests, indexes, names that are gone,
 * leases, other tools' entries, partial data, records. Every digest is followed by plain rules, not by the store's own code.
 */
import { mkdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import { MEDIA_TYPES } from "../../../src/oci/media-types.ts";
import type { Store } from "../../../src/store/store.ts";

/** What one random image is: numbers choose from what is there. */
export interface ImagePlan {
  readonly layers: readonly number[];
  readonly config: number;
  /** Whether an index stands around the manifest, which also names a manifest that is not here. */
  readonly index: boolean;
  readonly fate: "kept" | "gone" | "leased" | "expired" | "foreign" | "in-use";
}

export interface PartialPlan {
  readonly seed: number;
  readonly ageMs: number;
  readonly fate: "nobody" | "leased" | "needed" | "locked";
}

export interface RandomStore {
  /** Digests of whole blobs that must stay, and of those that must go. */
  readonly stay: ReadonlySet<Digest>;
  readonly go: ReadonlySet<Digest>;
  readonly partialsStay: ReadonlySet<Digest>;
  readonly partialsGo: ReadonlySet<Digest>;
  readonly recordsGo: number;
  /** Ends what keeps things only as long as a process is at work. */
  readonly work: DisposableStack;
}

export const NOW = Date.UTC(2026, 0, 1);
const WEEK_MS = 7 * 86_400_000;

export async function fillStore(
  store: Store,
  images: readonly ImagePlan[],
  partials: readonly PartialPlan[],
): Promise<RandomStore> {
  const all = new Set<Digest>();
  const stay = new Set<Digest>();
  const partialsStay = new Set<Digest>();
  const partialsGo = new Set<Digest>();
  const work = new DisposableStack();
  const foreign: Descriptor[] = [];
  const gone: string[] = [];
  const put = async (mediaType: string, bytes: Uint8Array): Promise<Descriptor> => {
    const digest = digestOf(bytes);
    await store.content.writeBytes(digest, bytes);
    all.add(digest);
    return { mediaType, digest, size: bytes.length };
  };
  const putJson = (mediaType: string, value: object): Promise<Descriptor> =>
    put(mediaType, Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...value })));

  const wanted: Descriptor[] = partials
    .filter(({ fate }) => fate === "needed")
    .map(({ seed }) => ({ mediaType: MEDIA_TYPES.ociLayer, digest: partialDigest(seed), size: 10 }));
  for (const [number, plan] of images.entries()) {
    const layers = await Promise.all(
      plan.layers.map((layer) => put(MEDIA_TYPES.ociLayer, Buffer.from(`layer ${layer}`))),
    );
    const config = await put(MEDIA_TYPES.ociConfig, Buffer.from(`config ${plan.config}`));
    const manifest = await putJson(MEDIA_TYPES.ociManifest, { config, layers: [...layers, ...wanted] });
    const absent = { ...manifest, digest: digestOf("absent") };
    const root = plan.index ? await putJson(MEDIA_TYPES.ociIndex, { manifests: [absent, manifest] }) : manifest;
    const digests = [...layers, config, manifest, root].map(({ digest }) => digest);
    const name = `a.example/image:${number}`;
    if (plan.fate === "kept" || plan.fate === "gone" || plan.fate === "in-use") {
      await store.images.put({ name, descriptor: root, manifest });
      if (plan.fate !== "kept") gone.push(name);
    }
    if (plan.fate === "in-use") work.use(store.locks.use(root.digest));
    if (plan.fate === "leased" || plan.fate === "expired") {
      const lease = await store.leases.create(plan.fate === "leased" ? 1000 : 0);
      await lease.add(...digests);
    }
    if (plan.fate === "foreign") foreign.push(root);
    if (plan.fate !== "gone" && plan.fate !== "expired") for (const digest of digests) stay.add(digest);
    if (plan.fate !== "gone" && plan.fate !== "expired" && plan.fate !== "leased") {
      for (const { digest } of wanted) partialsStay.add(digest);
    }
  }
  await store.images.deleteUnchanged((await store.images.list()).filter(({ name }) => gone.includes(name)));
  await addForeign(store, foreign);

  const record = { mediaType: "x", size: 1, uncompressedSize: 1, entries: 1, verifiedAt: new Date(NOW) };
  let recordsGo = 0;
  for (const digest of [...all, digestOf("nowhere")]) {
    await store.layers.put({ ...record, digest, diffId: digest });
    if (!stay.has(digest)) recordsGo++;
  }
  for (const plan of partials) await addPartial(plan);
  return { stay, go: all.difference(stay), partialsStay, partialsGo, recordsGo, work };

  async function addPartial({ seed, ageMs, fate }: PartialPlan): Promise<void> {
    const digest = partialDigest(seed);
    const directory = join(store.root, "ingest", digest.replace(":", "-"));
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, "data"), "0123456789");
    const touched = new Date(NOW - ageMs);
    for (const path of [join(directory, "data"), directory]) await utimes(path, touched, touched);
    if (fate === "leased") await (await store.leases.create(1000)).add(digest);
    if (fate === "locked") work.use(await store.locks.digest(digest));
    const kept = ageMs < WEEK_MS || fate === "leased" || fate === "locked" || partialsStay.has(digest);
    (kept ? partialsStay : partialsGo).add(digest);
  }
}

function partialDigest(seed: number): Digest {
  return digestOf(`partial ${seed}`);
}

async function addForeign(store: Store, roots: readonly Descriptor[]): Promise<void> {
  const path = join(store.root, "index.json");
  const index = JSON.parse(await readFile(path, "utf8")) as { manifests: unknown[] };
  await writeFile(path, JSON.stringify({ ...index, manifests: [...index.manifests, ...roots] }));
}
