/** What lies about in a store and belongs to nothing. It does no harm; mending takes away what surely nobody wants, `gc` the rest. */
import type { Digest } from "../../oci/digest.ts";
import { reachable, reachableDisks } from "../../store/unreferenced.ts";
import type { Check } from "./check.ts";

const PARTIAL_STALE = "partial data that nobody has touched for long; varve gc removes it";
const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

export async function checkLeftovers(check: Check): Promise<void> {
  // What a broken image needs is not known, so nothing can be called nobody's.
  if (check.findings.isSound()) await findUnreferenced(check);
  await findRecords(check);
  const { store, findings, repair } = check;
  for await (const path of store.examination.strayFiles()) {
    const key = findings.add("file-unknown", "no file of the store has such a name", { path });
    findings.failed(key, "it may be somebody's; look at it and remove it");
  }
  for await (const { kind, path, digest, touchedAt } of store.examination.partials()) {
    if (kind === "unknown") findings.add("file-unknown", "no partial blob has such a name", { path });
    else if (kind === "leftover" || Date.now() - touchedAt >= WEEK_MS) {
      const facts = { path, ...(digest !== undefined && { digest }) };
      const key = findings.add("partial-stale", PARTIAL_STALE, facts);
      if (repair && (await store.content.removeIngest(digest))) findings.repaired(key);
    }
  }
  for (const path of store.locks.stale()) {
    const key = findings.add("lock-stale", "the process that made this lock file is gone", { path });
    if (repair && store.locks.removeStale(path)) findings.repaired(key);
  }
}

/** Leased ones are somebody's who is at work, or unfinished pulls'. */
async function findUnreferenced(check: Check): Promise<void> {
  const { store, states, findings } = check;
  const images = await store.images.list();
  const roots = images.flatMap(({ manifest, descriptor }) => [manifest, descriptor]);
  const needed = await reachable(store.content, [...roots, ...(await store.foreignRoots())]);
  for (const [digest, state] of states) {
    if (state !== "whole" || needed.has(digest) || (await isWanted(store, digest))) continue;
    findings.add("blob-unreferenced", `neither an image nor a repository needs blob ${digest}; varve gc removes it`, {
      digest,
    });
  }
  const neededDisks = await reachableDisks(store.content, [...roots, ...(await store.foreignRoots())]);
  for await (const { key, path } of store.disks.list()) {
    if (neededDisks.has(key) || (await store.leases.isLeased(key))) continue;
    findings.add("disk-unreferenced", `no image needs the disk ${key}; varve gc removes it`, { digest: key, path });
  }
  await findPartialDisks(check, neededDisks);
}

/** What unfinished pulls and imports have left; what an image needs is what is to be gone on with. */
async function findPartialDisks({ store, findings, repair }: Check, needed: ReadonlySet<Digest>): Promise<void> {
  for await (const { key, path, updatedAt } of store.disks.partials()) {
    if (needed.has(key) || Date.now() - updatedAt.getTime() < WEEK_MS) continue;
    const found = findings.add("partial-stale", PARTIAL_STALE, { digest: key, path });
    if (repair && (await store.disks.removePartial(key))) findings.repaired(found);
  }
}

async function isWanted({ leases, content, repositories }: Check["store"], digest: Digest): Promise<boolean> {
  if (await repositories.needs(digest)) return true;
  return (await leases.isLeased(digest)) || (await content.stat(digest).catch(() => undefined)) === undefined;
}

async function findRecords({ store, findings, repair, layers, chunks }: Check): Promise<void> {
  const given = new Set([...layers.values().map(({ blob }) => blob.digest), ...chunks]);
  for await (const record of store.layers.list()) {
    const { digest } = record;
    // Says of an image's layer that its blob is not to be here.
    if (record.discardedAt !== undefined && given.has(digest)) continue;
    if ((await store.content.stat(digest).catch(() => undefined)) !== undefined) continue;
    // Of a layer that an image misses more was told.
    if (findings.hasDigest(digest)) continue;
    const key = findings.add("record-unused", `what is known of layer ${digest}, which is not there`, { digest });
    if (repair && (await store.layers.deleteUnchanged([record])) > 0) findings.repaired(key);
  }
}
