/**
 * What must hold of a store after anything happened to a process that was at work on it: its names are those from before or from
 * after, what is said to be unpacked is whole, `fsck` finds nothing that the next pulls do not mend, these fetch only what is not here and
 * end in exactly the images, and nothing is left over in the end.
 */
import { existsSync, readdirSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  collectGarbage,
  importDisk,
  listImages,
  pull,
  removeImages,
  type Digest,
  type Varve,
} from "../../../src/index.ts";
import { openSnapshots } from "../../../src/transfer/snapshotter.ts";
import { errorsOf, imageFaults, machineFaults, soundnessFaults } from "../lib/judge.ts";
import { IMPORT } from "../lib/machine-images.ts";
import { committedNames, snapshotFaults, snapshotLeftovers } from "../lib/snapshot-faults.ts";
import type { PublishedImage } from "../lib/published-image.ts";
import type { Unpacking } from "../lib/unpacking.ts";
import { imagesOf, type Operation } from "./operations.ts";
import { openAt, referenceOf, type Scenes } from "./scenes.ts";
import { OWN_NAME, removeWritten, writeSnapshot } from "./write-snapshot.ts";

export interface Aftermath {
  /** Kinds of what `fsck` called errors before anything was mended. */
  readonly found: readonly string[];
  /** Whether the operation's effect was there. */
  readonly done: boolean;
  /** Body bytes that the pulls afterwards fetched. */
  readonly fetched: number;
  /** Of those, what was left from before. */
  readonly resumed: number;
}

export interface Scene {
  readonly scenes: Scenes;
  readonly operation: Operation;
  readonly unpacking: Unpacking;
  /** Whether what is unpacked is mounted and compared entry by entry. */
  readonly mounting: boolean;
}

export async function checkAftermath(scene: Scene, root: string): Promise<Aftermath> {
  const { scenes, operation, unpacking, mounting } = scene;
  const { snapshotter } = unpacking;
  const { found, done, missing } = await lookAt(scene, root);
  const faults: string[] = [];
  let [fetched, resumed] = [0, 0];
  {
    await using varve = await openAt(root, { snapshotter });
    for (const image of imagesOf(operation, scenes)) {
      const name = referenceOf(scenes, image);
      if (operation.command === "disk import" && image.machine !== undefined) {
        const result = await importDisk(varve, image.machine.source, name, IMPORT);
        faults.push(...(await machineFaults(varve, image, result)));
        continue;
      }
      const result = await pull(varve, name);
      fetched += result.bytes.network;
      resumed += result.resumedBytes;
      const judged = image.machine === undefined ? imageFaults : machineFaults;
      faults.push(...(await judged(varve, image, result, { mounting })));
    }
    if (operation.ofSnapshots === true) faults.push(...(await goOn(scene, varve)));
  }
  if (fetched > missing) faults.push(`${fetched} bytes were fetched, and ${missing} were missing`);
  faults.push(...(await leftovers(imagesOf(operation, scenes), root, unpacking)));
  if (faults.length > 0) throw new Error([...faults, `fsck found before: ${found.join(", ")}`].join("\n"));
  return { found, done, fetched, resumed };
}

interface Look extends Pick<Aftermath, "found" | "done"> {
  /** Bytes of what the images need and the store has not whole. */
  readonly missing: number;
}

/** Without changing anything, as `varve fsck` and `varve images` do. */
async function lookAt({ scenes, operation, mounting }: Scene, root: string): Promise<Look> {
  await using varve = await openAt(root, { readOnly: true });
  const { store } = varve;
  const errors = await errorsOf(varve);
  // What is there is what its name says, and images that are named are whole, whatever else may have to be made again.
  const bad = errors.filter(({ kind }) => !MENDED_BY_PULLS.has(kind));
  if (bad.length > 0) throw new Error(`fsck finds ${bad.map(({ kind, message }) => `${kind}: ${message}`).join(", ")}`);
  const faults = await snapshotFaults(store, mounting ? scenes.trees : undefined);
  if (faults.length > 0) throw new Error(faults.join("\n"));
  const names = (await listImages(varve)).map(({ name }) => name).toSorted();
  const { before, after } = operation.names(scenes);
  const is = (wanted: readonly string[]): boolean => wanted.toSorted().join(" ") === names.join(" ");
  if (!is(before) && !is(after)) throw new Error(`the store has the images ${names.join(", ")}`);
  const isThere = operation.ofSnapshots !== true || (await committedNames(store)).includes(OWN_NAME);
  const missing = await missingBytes(varve, imagesOf(operation, scenes));
  return { found: errors.map(({ kind }) => kind), done: is(after) && isThere, missing };
}

async function missingBytes({ store }: Varve, images: readonly PublishedImage[]): Promise<number> {
  const [machines, others] = [images.filter(isMachine), images.filter((image) => !isMachine(image))];
  const held = new Set<Digest>();
  for await (const { digest } of store.content.list()) held.add(digest);
  const layers = new Map(others.flatMap((image) => image.layers).map(({ digest, size }) => [digest, size]));
  let documents = others.reduce((sum, image) => sum + image.bytes - sizeOf(image), 0);
  // Blobs of chunks are not kept; the disk is there or not.
  for (const { bytes } of machines) documents += bytes;
  return [...layers].reduce((sum, [digest, size]) => sum + (held.has(digest) ? 0 : size), documents);
}

function isMachine({ machine }: PublishedImage): boolean {
  return machine !== undefined;
}

function sizeOf({ layers }: PublishedImage): number {
  return layers.reduce((sum, { size }) => sum + size, 0);
}

/** Who was cut off writing a snapshot begins anew, and gets there. */
async function goOn({ scenes, unpacking, mounting }: Scene, varve: Varve): Promise<string[]> {
  if (unpacking.snapshotter === "none") return [];
  const snapshots = await openSnapshots(varve.store, unpacking.snapshotter);
  await writeSnapshot(snapshots, scenes.first.chain.at(-1) ?? "");
  return snapshotFaults(varve.store, mounting ? scenes.trees : undefined);
}

/** The metadata may be behind the content, never the other way round. */
const MENDED_BY_PULLS: ReadonlySet<string> = new Set(["index", "layout", "layer-record"]);

/** What is still there when everything was removed and collected; the killed process's lease must keep nothing. */
async function leftovers(
  images: readonly PublishedImage[],
  root: string,
  { snapshotter }: Unpacking,
): Promise<string[]> {
  await using varve = await openAt(root, { snapshotter });
  const { store } = varve;
  if (snapshotter !== "none") await removeWritten(await openSnapshots(store, snapshotter));
  await collectGarbage(varve, { partialsOlderThanMs: 0 });
  const faults = await soundnessFaults(varve);
  const wanted = new Set(
    images.flatMap(({ digest, config, layers, machine }) => [
      digest,
      config,
      ...digestsOf(layers),
      ...(machine?.blobs ?? []),
    ]),
  );
  const keys = new Set(images.map(({ machine }) => machine?.key));
  for await (const { key } of store.disks.list()) if (!keys.has(key)) faults.push(`disk ${key} was left over`);
  for await (const { digest } of store.content.list()) if (!wanted.has(digest)) faults.push(`${digest} was left over`);
  const chains = new Set<string>(images.flatMap(({ chain }) => chain));
  for (const name of await committedNames(store)) if (!chains.has(name)) faults.push(`snapshot ${name} was left over`);
  await removeImages(
    varve,
    (await listImages(varve)).map(({ name }) => name),
  );
  for (const folder of ["blobs/sha256", "ingest"]) {
    for (const name of await readdir(join(store.root, folder))) faults.push(`${folder}/${name} was left over`);
  }
  for (const path of filesBelow(join(store.root, "disks"))) faults.push(`${path} was left over`);
  for await (const { kind, key } of store.snapshots.walk()) faults.push(`${kind} snapshot ${key} was left over`);
  for (const path of snapshotLeftovers(root)) faults.push(`${path} was left over`);
  for (const name of await readdir(join(store.root, "locks"))) {
    if (!["store.lock", "index.lock"].includes(name)) faults.push(`locks/${name} was left over`);
  }
  return faults;
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function digestsOf(layers: PublishedImage["layers"]): Digest[] {
  return layers.map(({ digest }) => digest);
}
