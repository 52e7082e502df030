/** Whether a store holds exactly an image: by the store's own check, and by one that knows nothing of the store's code. */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { checkStore, type Finding } from "../../../src/transfer/fsck.ts";
import type { TransferContext } from "../../../src/transfer/context.ts";
import type { PullResult } from "../../../src/transfer/pull-result.ts";
import { storeFaults } from "../../e2e/store-health.ts";
import type { PublishedImage } from "./published-image.ts";
import { committedNames, snapshotFaults, type ExpectedTrees } from "./snapshot-faults.ts";

export interface ImageJudging {
  /** Whether what it is unpacked into is mounted and compared entry by entry. Default false. */
  readonly mounting?: boolean;
}

/** What is wrong, in words; empty when all is right. */
export async function imageFaults(
  context: TransferContext,
  image: PublishedImage,
  result: PullResult,
  { mounting = false }: ImageJudging = {},
): Promise<string[]> {
  const { store, snapshotter } = context;
  const faults: string[] = [];
  const differs = (what: string, is: unknown, should: unknown): void => {
    if (is !== should) faults.push(`${what} is ${String(is)}, not ${String(should)}`);
  };
  differs("digest", result.digest, image.digest);
  differs("image id", result.imageId, image.config);
  differs("layers", result.layers.length, image.layers.length);
  for (const [index, { digest, diffId }] of image.layers.entries()) {
    differs(`layer ${index}`, result.layers[index]?.digest, digest);
    differs(`DiffID ${index}`, (await store.layers.get(digest))?.diffId, diffId);
  }
  if (snapshotter !== undefined && snapshotter.choice !== "none") {
    const names = new Set(await committedNames(store, result.snapshotter ?? ""));
    for (const [index, name] of image.chain.entries())
      if (!names.has(name)) faults.push(`layer ${index} is not unpacked`);
  }
  return [...faults, ...(await soundnessFaults(context, mounting ? image.trees : undefined))];
}

/** The same for the image of a machine, pulled or imported. */
export async function machineFaults(
  context: TransferContext,
  { digest, config, machine }: PublishedImage,
  result: Pick<PullResult, "digest" | "imageId">,
): Promise<string[]> {
  const faults: string[] = [];
  if (result.digest !== digest) faults.push(`digest is ${result.digest}, not ${digest}`);
  if (result.imageId !== config) faults.push(`image id is ${result.imageId}, not ${config}`);
  if (machine === undefined) throw new Error(`${digest} is no machine's`);
  const path = context.store.disks.pathOf(machine.key);
  const sha256 = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  if (sha256 !== machine.sha256) faults.push(`the disk is ${sha256}, not ${machine.sha256}`);
  if (((await stat(path)).mode & 0o222) !== 0) faults.push("the disk may be written");
  return [...faults, ...(await soundnessFaults(context))];
}

/** What is wrong with the store whatever it should hold. @param trees of snapshots that are compared where they are there */
export async function soundnessFaults(context: TransferContext, trees?: ExpectedTrees): Promise<string[]> {
  const findings = (await errorsOf(context)).map(({ kind, message }) => `fsck: ${kind}: ${message}`);
  const { store } = context;
  const givenUp = new Set<string>();
  for await (const { digest, discardedAt } of store.layers.list()) if (discardedAt !== undefined) givenUp.add(digest);
  return [...findings, ...(await storeFaults(store.root, givenUp)), ...(await snapshotFaults(store, trees))];
}

/** What `fsck` finds besides leftovers. */
export async function errorsOf(context: TransferContext): Promise<Finding[]> {
  return (await checkStore(context)).findings.filter(({ severity }) => severity === "error");
}
