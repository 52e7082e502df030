/**
 * What must hold of a store after anything happened to a process that was at work on it: its names are those from before or from
 * after, `fsck` finds nothing that the next pulls do not mend, these end in exactly the images, and nothing is left over in the end.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { collectGarbage, pull, removeImages, type Digest } from "../../../src/index.ts";
import { errorsOf, imageFaults, soundnessFaults } from "../lib/judge.ts";
import type { Operation } from "./operations.ts";
import { openAt, referenceOf, type Scenes } from "./scenes.ts";

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

export async function checkAftermath(scenes: Scenes, operation: Operation, root: string): Promise<Aftermath> {
  const { found, done } = await lookAt(scenes, operation, root);
  const faults: string[] = [];
  let [fetched, resumed] = [0, 0];
  {
    await using varve = await openAt(root);
    for (const image of [scenes.first, scenes.second]) {
      const result = await pull(varve, referenceOf(scenes, image));
      fetched += result.bytes.network;
      resumed += result.resumedBytes;
      faults.push(...(await imageFaults(varve, image, result)));
    }
  }
  faults.push(...(await leftovers(scenes, root)));
  if (faults.length > 0) throw new Error([...faults, `fsck found before: ${found.join(", ")}`].join("\n"));
  return { found, done, fetched, resumed };
}

/** Without changing anything, as `varve fsck` and `varve images` do. */
async function lookAt(scenes: Scenes, operation: Operation, root: string): Promise<Pick<Aftermath, "found" | "done">> {
  await using varve = await openAt(root, { readOnly: true });
  const found = (await errorsOf(varve)).map(({ kind }) => kind);
  // What is there is what its name says, and images that are named are whole, whatever else may have to be made again.
  const bad = found.filter((kind) => !MENDED_BY_PULLS.has(kind));
  if (bad.length > 0) throw new Error(`fsck finds ${bad.join(", ")}`);
  const names = (await varve.store.images.list()).map(({ name }) => name).toSorted();
  const { before, after } = operation.names(scenes);
  const is = (wanted: readonly string[]): boolean => wanted.toSorted().join(" ") === names.join(" ");
  if (!is(before) && !is(after)) throw new Error(`the store has the images ${names.join(", ")}`);
  return { found, done: is(after) };
}

/** The metadata may be behind the content, never the other way round. */
const MENDED_BY_PULLS: ReadonlySet<string> = new Set(["index", "layout", "layer-record"]);

/** What is still there when everything was removed and collected; the killed process's lease must keep nothing. */
async function leftovers(scenes: Scenes, root: string): Promise<string[]> {
  await using varve = await openAt(root);
  const { store } = varve;
  await collectGarbage(varve, { partialsOlderThanMs: 0 });
  const faults = await soundnessFaults(varve);
  const wanted = new Set<Digest>();
  for (const { digest, config, layers } of [scenes.first, scenes.second]) {
    for (const one of [digest, config, ...layers.map((layer) => layer.digest)]) wanted.add(one);
  }
  for await (const { digest } of store.content.list()) if (!wanted.has(digest)) faults.push(`${digest} was left over`);
  await removeImages(
    varve,
    (await store.images.list()).map(({ name }) => name),
  );
  for (const folder of ["blobs/sha256", "ingest"]) {
    for (const name of await readdir(join(store.root, folder))) faults.push(`${folder}/${name} was left over`);
  }
  for (const name of await readdir(join(store.root, "locks"))) {
    if (!["store.lock", "index.lock"].includes(name)) faults.push(`locks/${name} was left over`);
  }
  return faults;
}
