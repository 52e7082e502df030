/**
 * Whether a store is whole, looked at from outside, with nothing of the store's own code: a layout as image-spec has it,
 * blobs that are what their names say, an index whose every image has all of its parts.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

interface Part {
  readonly digest: string;
  readonly size: number;
}

interface Document {
  readonly manifests?: readonly Part[];
  readonly config?: Part;
  readonly layers?: readonly Part[];
}

/**
 * What is wrong with it, in words; empty when it is sound. A store that was never made is sound.
 * @param givenUp blobs that need not be there. Default: none
 */
export async function storeFaults(root: string, givenUp: ReadonlySet<string> = new Set()): Promise<string[]> {
  if (!existsSync(root)) return [];
  const faults: string[] = [];
  const layout = JSON.parse(await readFile(join(root, "oci-layout"), "utf8")) as { imageLayoutVersion?: string };
  if (layout.imageLayoutVersion !== "1.0.0") faults.push("oci-layout has another version");
  const sizes = await checkBlobs(root, faults);
  const index = JSON.parse(await readFile(join(root, "index.json"), "utf8")) as Document;
  for (const image of index.manifests ?? []) await checkImage(root, image, sizes, faults);
  return faults.filter((fault) => !givenUp.has(/^(.*) is missing$/.exec(fault)?.[1] ?? ""));
}

/** Sizes of the blobs by digest. */
async function checkBlobs(root: string, faults: string[]): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const algorithm of await readdir(join(root, "blobs"))) {
    for (const name of await readdir(join(root, "blobs", algorithm))) {
      const bytes = await readFile(join(root, "blobs", algorithm, name));
      const computed = createHash(algorithm).update(bytes).digest("hex");
      if (computed !== name) faults.push(`blob ${algorithm}:${name} is ${computed}`);
      sizes.set(`${algorithm}:${name}`, bytes.length);
    }
  }
  return sizes;
}

/** An index that was pulled for one platform names others, which need not be there: one manifest must be whole. */
async function checkImage(root: string, part: Part, sizes: Map<string, number>, faults: string[]): Promise<void> {
  if (!checkPart(part, sizes, faults)) return;
  const document = JSON.parse(await readFile(join(root, "blobs", part.digest.replace(":", "/")), "utf8")) as Document;
  if (document.manifests !== undefined) {
    const here = document.manifests.filter(({ digest }) => sizes.has(digest));
    if (here.length === 0) faults.push(`index ${part.digest} has no manifest here`);
    for (const child of here) await checkImage(root, child, sizes, faults);
  }
  const parts = [...(document.config === undefined ? [] : [document.config]), ...(document.layers ?? [])];
  for (const child of parts) checkPart(child, sizes, faults);
}

function checkPart({ digest, size }: Part, sizes: Map<string, number>, faults: string[]): boolean {
  const actual = sizes.get(digest);
  if (actual === undefined) faults.push(`${digest} is missing`);
  else if (actual !== size) faults.push(`${digest} has ${actual} bytes, not ${size}`);
  return actual === size;
}
