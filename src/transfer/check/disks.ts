/**
 * Checks disks of virtual machines: there, as long as their images say, read-only, and in every place what the image says of it, or what was recorded
 * where it says nothing. When mending, what is still good of a damaged disk is kept and the rest is got as a pull gets it.
 */
import { chmod, lstat } from "node:fs/promises";
import { CopySource } from "../../disk/copy-source.ts";
import { COPY_CALLS } from "../../disk/copy-calls.ts";
import { formatBytes } from "../../errors/amounts.ts";
import { toVarveError } from "../../errors/from-system.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import { ProgressMeter } from "../../recipe/progress-meter.ts";
import type { DiskContent, DiskInfo } from "../../store/disks/types.ts";
import { recordGivenUp } from "../given-up.ts";
import { inParallel } from "../in-parallel.ts";
import type { Check, ImageDisk } from "./check.ts";
import { wrongContents, type ExpectedContent } from "./disk-contents.ts";
import { expectedContents, zeroDigests } from "./expected-contents.ts";
import { getAgain, type Mendable } from "./mend-disk.ts";
import { stateOf } from "./parts.ts";

const WRITABLE = 0o222;
/** Places that are told of one disk. */
const SHOWN = 3;

/** Those that the images that were checked have. */
export async function checkDisks(check: Check): Promise<void> {
  await inParallel([...check.disks], check.concurrency, async ([key, disk]) => {
    if (await checkDisk(check, key, disk)) await settleBlobs(check, key, disk);
  });
}

/** @returns whether the disk is there and whole, perhaps after mending */
async function checkDisk(check: Check, key: Digest, of: ImageDisk): Promise<boolean> {
  const { findings } = check;
  const { image, disk } = of;
  const facts = { digest: key, image };
  const what = `${image}: ${disk.name}`;
  const found = await held(check, key);
  if (found === undefined) {
    if (await hasAllBlobs(check, of)) return false;
    return mend(check, findings.add("disk-missing", `${what} is not in the store`, facts), { key, of, good: [] });
  }
  check.counts.disks++;
  const damaged = (why: string, good: readonly DiskContent[] = []): Promise<boolean> =>
    mend(check, findings.add("disk-damaged", `${what} ${why}`, { ...facts, path: found.path }), { key, of, good });
  if ("fault" in found) return damaged(found.fault);
  await checkMode(check, key, { image, path: found.path });
  const expected = await expectedContents(check.store, key, disk);
  if (expected === undefined) {
    const why = "has no record of what it holds, and its image does not say it";
    return mend(check, findings.add("disk-record", `${what} ${why}`, facts), { key, of, good: [] });
  }
  const { size, contents } = expected;
  const wrong = await readThrough(check, found, contents);
  if (found.size !== size) {
    return damaged(`has ${formatBytes(found.size)} instead of ${formatBytes(size)}`, await goodOf(contents, wrong));
  }
  if (wrong.length > 0) return damaged(describe(wrong), await goodOf(contents, wrong));
  await checkRecord(check, { key, size, image }, contents);
  return true;
}

/** What of a damaged disk need not be got again; zeros come of themselves. */
async function goodOf(
  expected: readonly ExpectedContent[],
  wrong: readonly ExpectedContent[],
): Promise<readonly DiskContent[]> {
  const zeros = await zeroDigests(expected);
  const bad = new Set(wrong.map(({ offset }) => offset));
  return expected.flatMap(({ digest, offset, size }) =>
    digest === undefined || size === 0 || zeros.has(digest) || bad.has(offset) ? [] : [{ digest, offset, size }],
  );
}

async function held(
  { store }: Check,
  key: Digest,
): Promise<DiskInfo | { readonly path: string; readonly fault: string } | undefined> {
  try {
    return await store.disks.stat(key);
  } catch (error) {
    if (!isVarveError(error, "STORE_CORRUPT")) throw error;
    return { path: store.disks.pathOf(key), fault: "is no regular file" };
  }
}

/** Whether the disk can be made of what is here; then it need not be. */
async function hasAllBlobs(check: Check, { disk }: ImageDisk): Promise<boolean> {
  const blobs = disk.kind === "stream" ? disk.blobs : disk.chunks.map(({ blob }) => blob);
  for (const { digest } of blobs) if ((await stateOf(check, digest)) !== "whole") return false;
  return true;
}

async function checkMode(check: Check, key: Digest, { image, path }: { image: string; path: string }): Promise<void> {
  const { mode } = await lstat(path);
  if ((mode & WRITABLE) === 0) return;
  const what = "can be written, and a machine that runs on it would change what others are made of";
  const found = check.findings.add("disk-mode", `the disk ${key} ${what}`, { digest: key, image, path });
  if (!check.repair) return;
  try {
    await chmod(path, 0o444);
    check.findings.repaired(found);
  } catch (error) {
    check.findings.failed(found, toVarveError(error).message);
  }
}

async function readThrough(
  { context, counts }: Check,
  { key, path, size }: Pick<DiskInfo, "key" | "path" | "size">,
  expected: readonly ExpectedContent[],
): Promise<ExpectedContent[]> {
  const { signal, onProgress } = context;
  const meter = new ProgressMeter({ digest: key, total: size, emit: onProgress });
  try {
    await using source = await CopySource.open(path, COPY_CALLS);
    return await wrongContents(source, expected, {
      signal,
      onBytes(bytes, read) {
        counts.bytes += bytes;
        if (read > 0) meter.count("local", read);
        meter.advance(bytes);
      },
    });
  } finally {
    meter.finish();
  }
}

/** What is recorded of it is what other disks find their contents by. */
async function checkRecord(
  { store, findings, repair }: Check,
  { key, size, image }: { readonly key: Digest; readonly size: number; readonly image: string },
  expected: readonly ExpectedContent[],
): Promise<void> {
  const right = await goodOf(expected, []);
  const zeros = await zeroDigests(expected);
  // Zeros may be recorded as what they are, or not at all.
  const known = (await store.disks.contentsOf(key)).filter(({ digest }) => !zeros.has(digest));
  const text = (contents: readonly DiskContent[]): string =>
    contents.map(({ digest, offset, size: bytes }) => `${digest} ${offset} ${bytes}`).join("\n");
  if ((await store.disks.recordedSize(key)) === size && text(known) === text(right)) return;
  const found = findings.add("disk-record", `what is recorded of the disk ${key} is not so`, { digest: key, image });
  if (!repair) return;
  try {
    if (await store.disks.recordContents({ key, size }, right)) findings.repaired(found);
  } catch (error) {
    // Somebody is at work on it.
    findings.failed(found, toVarveError(error).message);
  }
}

async function mend(check: Check, found: string, what: Omit<Mendable, "image">): Promise<boolean> {
  if (!check.repair) return false;
  try {
    await getAgain(check, what);
    check.findings.repaired(found);
    return true;
  } catch (error) {
    check.context.signal.throwIfAborted();
    check.findings.failed(found, toVarveError(error).message);
    return false;
  }
}

/** Blobs of chunks may be here, as those of imports are. A damaged one goes, for the disk stands for it; of a missing one that is recorded. */
async function settleBlobs(check: Check, key: Digest, { image, disk }: ImageDisk): Promise<void> {
  const { store, findings, repair, context } = check;
  const chunks =
    disk.kind === "stream" ? disk.blobs.map((blob) => ({ blob, digest: key, size: blob.size })) : disk.chunks;
  for (const { blob, digest = key, size } of new Map(chunks.map((chunk) => [chunk.blob.digest, chunk])).values()) {
    const state = await stateOf(check, blob.digest);
    if (state === "whole") continue;
    const known = await store.layers.get(blob.digest);
    if (state === "missing" && known?.discardedAt !== undefined) continue;
    const what = `nothing says that blob ${blob.digest} is made of its disk`;
    const found = state === "missing" ? findings.add("layer-record", what, { digest: blob.digest, image }) : undefined;
    if (!repair) continue;
    if (state === "damaged") await store.content.removeDamaged(blob.digest, { signal: context.signal });
    await recordGivenUp(store, blob, { diffId: digest, size, entries: 0 });
    check.states.set(blob.digest, "missing");
    if (found === undefined) findings.repairedDigest(blob.digest);
    else findings.repaired(found);
  }
}

function describe(wrong: readonly ExpectedContent[]): string {
  const places = wrong.slice(0, SHOWN).map(({ offset, size }) => `${offset} to ${offset + size}`);
  const more = wrong.length - places.length;
  return `is not what its image says in bytes ${places.join(", ")}${more > 0 ? ` and ${more} more places` : ""}`;
}
