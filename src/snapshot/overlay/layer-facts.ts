/** What is to be remembered of an unpacked layer whose tree a snapshot has, so that another parent can have it too: `layer.json` beside it. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { isDigest, type Digest } from "../../oci/digest.ts";
import type { OpenEnds } from "../../layer/layer-target.ts";
import { replaceFile } from "../../store/durable.ts";

export interface LayerFacts {
  readonly diffId: Digest;
  /** Directories that have their attributes from the layers below. */
  readonly implied: readonly string[];
  /**
   * Whether the tree is the layer's own but for those. Not when it was applied onto its parents, nor when it has marks that went or stayed
   * because of them.
   */
  readonly portable: boolean;
}

const FILE = "layer.json";
/** A layer has a million directories at most. */
const MAX_FACTS_BYTES = 256 << 20;

export function factsOf(diffId: Digest, open: OpenEnds, replayed: boolean): LayerFacts {
  return { diffId, implied: open.implied, portable: !replayed && (open.marked ?? []).length === 0 };
}

/** @param folder of the snapshot. It is as durable as what is synced later */
export async function writeFacts(folder: string, facts: LayerFacts): Promise<void> {
  const path = join(folder, FILE);
  await replaceFile(path, `${path}.new`, JSON.stringify({ version: 1, ...facts }), { mode: 0o600 });
}

/** Undefined when there are none that can be understood: such a layer is unpacked again. */
export async function readFacts(folder: string): Promise<LayerFacts | undefined> {
  try {
    const { version, diffId, implied, portable } = JSON.parse(await readPlain(join(folder, FILE))) as {
      [name in keyof LayerFacts | "version"]?: unknown;
    };
    const isKnown = version === 1 && typeof diffId === "string" && isDigest(diffId) && typeof portable === "boolean";
    if (!isKnown || !Array.isArray(implied) || !implied.every((path) => typeof path === "string")) return undefined;
    return { diffId, implied, portable };
  } catch {
    return undefined;
  }
}

/** Facts are also looked for in stores that belong to somebody else, who may have put anything in their place. */
async function readPlain(path: string): Promise<string> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const found = await file.stat();
  if (!found.isFile() || found.size > MAX_FACTS_BYTES) throw new Error(`${path} holds no facts`);
  return file.readFile("utf8");
}
