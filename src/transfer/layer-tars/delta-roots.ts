/**
 * Stores beside the own one that deltas may copy from (`--delta-root`): image layouts, as a store of varve is one too. They are only read: nothing is
 * made in them and nothing locked, so that they may lie on a file system that is mounted read-only, and belong to somebody else. The database of a
 * store is not asked, since SQLite wants to write beside it; the layout's own index.json names the same images.
 */
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import { ContentStore } from "../../store/content.ts";
import { StoreLayout } from "../../store/layout.ts";
import { StoreLocks } from "../../store/locks.ts";
import { heldTar } from "../held-tar.ts";
import { heldBytes } from "../held-bytes.ts";
import { checkLayoutVersion, listEntries } from "../transports/layout-index.ts";
import { readSmallFile } from "../transports/plain-file.ts";
import { compressedBlob, plainTar } from "./blob-forms.ts";
import { imageLayers } from "./image-layers.ts";
import type { LayerForm, LayerTarsRoot } from "./layer-form.ts";
import { treesBelow } from "./tree-forms.ts";

/** As large as varve's own may be. */
const MAX_INDEX_BYTES = 64 << 20;
const MAX_VERSION_BYTES = 4096;

/**
 * @param directories as users name them; relative ones to where the process stands
 * @throws VarveError `FILE_NOT_FOUND` when one is not there, `PATH_INVALID` when it is something else; `ARCHIVE_INVALID`, `PERMISSION`, `IO`
 */
export async function openDeltaRoots(directories: readonly string[], signal: AbortSignal): Promise<LayerTarsRoot[]> {
  const roots: LayerTarsRoot[] = [];
  for (const directory of new Set(directories.map((each) => resolve(each)))) {
    signal.throwIfAborted();
    await checkLayout(directory);
    roots.push(new LayoutLayers(directory, signal));
  }
  return roots;
}

class LayoutLayers implements LayerTarsRoot {
  readonly path: string;
  readonly #signal: AbortSignal;
  readonly #content: ContentStore;
  #ofImages: Promise<Map<Digest, readonly Digest[]>> | undefined;
  #trees: Promise<Map<Digest, LayerForm>> | undefined;

  constructor(directory: string, signal: AbortSignal) {
    this.path = directory;
    this.#signal = signal;
    const layout = new StoreLayout(directory);
    this.#content = new ContentStore({
      layout,
      locks: new StoreLocks(layout.locks),
      readOnly: true,
      sync: false,
      isLeased: () => Promise.resolve(true),
      step: () => {},
    });
  }

  async *find(diffId: Digest): AsyncGenerator<LayerForm> {
    const tar = await heldTar({ root: this.path }, diffId);
    if (tar !== undefined) yield { kind: "tar", path: tar.path };
    yield* plainTar(this.#content, diffId);
    for (const digest of (await this.#images()).get(diffId) ?? []) {
      if (digest !== diffId) yield* compressedBlob(this.#content, digest);
    }
    const tree = (await (this.#trees ??= treesBelow(this.path))).get(diffId);
    if (tree !== undefined) yield tree;
  }

  config(imageId: Digest): Promise<Uint8Array | undefined> {
    return heldBytes({ content: this.#content }, imageId);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #images(): Promise<Map<Digest, readonly Digest[]>> {
    this.#ofImages ??= (async () => {
      const index = await readSmallFile(join(this.path, "index.json"), MAX_INDEX_BYTES);
      return imageLayers(this.#content, listEntries(index, this.path), this.#signal);
    })();
    return this.#ofImages;
  }
}

async function checkLayout(directory: string): Promise<void> {
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(directory);
  } catch (error) {
    throw toVarveError(error, `looking for bases of deltas in ${directory}`);
  }
  if (!found.isDirectory()) throw noLayout(directory, "it is no directory");
  try {
    checkLayoutVersion(await readSmallFile(join(directory, "oci-layout"), MAX_VERSION_BYTES), directory);
  } catch (error) {
    // The file is required, but tools make layouts without it.
    if (!isVarveError(error, "FILE_NOT_FOUND")) throw error;
  }
  try {
    listEntries(await readSmallFile(join(directory, "index.json"), MAX_INDEX_BYTES), directory);
  } catch (error) {
    if (!isVarveError(error, "FILE_NOT_FOUND")) throw error;
    throw noLayout(directory, "it has no index.json", error);
  }
}

function noLayout(directory: string, why: string, cause?: unknown): VarveError {
  return new VarveError("PATH_INVALID", `${directory} is neither a store nor an OCI image layout: ${why}`, {
    hint: "name a directory that varve or another tool keeps images in with --delta-root",
    cause,
  });
}
