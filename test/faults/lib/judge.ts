/** Whether a store holds exactly an image: by the store's own check, and by one that knows nothing of the store's code. */
import { checkStore, type Finding } from "../../../src/transfer/fsck.ts";
import type { TransferContext } from "../../../src/transfer/context.ts";
import type { PullResult } from "../../../src/transfer/pull-result.ts";
import { storeFaults } from "../../e2e/store-health.ts";
import type { PublishedImage } from "./published-image.ts";

/** What is wrong, in words; empty when all is right. */
export async function imageFaults(
  context: TransferContext,
  image: PublishedImage,
  result: PullResult,
): Promise<string[]> {
  const faults: string[] = [];
  const differs = (what: string, is: unknown, should: unknown): void => {
    if (is !== should) faults.push(`${what} is ${String(is)}, not ${String(should)}`);
  };
  differs("digest", result.digest, image.digest);
  differs("image id", result.imageId, image.config);
  differs("layers", result.layers.length, image.layers.length);
  for (const [index, { digest, diffId }] of image.layers.entries()) {
    differs(`layer ${index}`, result.layers[index]?.digest, digest);
    differs(`DiffID ${index}`, (await context.store.layers.get(digest))?.diffId, diffId);
  }
  return [...faults, ...(await soundnessFaults(context))];
}

/** What is wrong with the store whatever it should hold. */
export async function soundnessFaults(context: TransferContext): Promise<string[]> {
  const findings = (await errorsOf(context)).map(({ kind, message }) => `fsck: ${kind}: ${message}`);
  return [...findings, ...(await storeFaults(context.store.root))];
}

/** What `fsck` finds besides leftovers. */
export async function errorsOf(context: TransferContext): Promise<Finding[]> {
  return (await checkStore(context)).findings.filter(({ severity }) => severity === "error");
}
