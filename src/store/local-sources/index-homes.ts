/**
 * Where the index of each layer lies: in the layer's folder; where nothing may be written there, in a temporary directory that goes with this.
 */
import { constants, copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestHex, digestOf } from "../../oci/digest.ts";
import type { HeldLayer } from "./held-layer.ts";
import { INDEX_FILE } from "./index-format.ts";
import { KNOWN_FILE } from "./known-file.ts";
import { LayerIndex } from "./layer-index.ts";

/** What says that nothing can be written in a folder. */
const READ_ONLY: ReadonlySet<string | undefined> = new Set(["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT"]);

export class IndexHomes implements AsyncDisposable {
  readonly #readOnly: boolean;
  /** Folders that nothing can be written in, and where their indexes are instead. */
  readonly #elsewhere = new Map<string, Promise<string>>();
  #temporary: Promise<string> | undefined;

  /** @param readOnly whether to write in no layer's folder */
  constructor(readOnly: boolean) {
    this.#readOnly = readOnly;
  }

  /**
   * Opens a layer's index, and builds it if need be.
   * @param anew whether to build it in any case
   * @returns undefined for a layer that is going away, or that cannot be read
   * @throws the signal's reason
   */
  async open(layer: HeldLayer, signal?: AbortSignal, anew = false): Promise<LayerIndex | undefined> {
    const openIn = (home: string): Promise<LayerIndex> =>
      anew ? LayerIndex.rebuild(layer, home, signal) : LayerIndex.open(layer, home, signal);
    try {
      const home = await this.of(layer);
      try {
        if (home === layer.folder) await layer.prepare?.();
        return await openIn(home);
      } catch (error) {
        if (home !== layer.folder || !READ_ONLY.has((error as NodeJS.ErrnoException).code)) throw error;
        return await openIn(await this.#moved(layer.folder));
      }
    } catch (error) {
      signal?.throwIfAborted();
      // Anything without a code is a mistake of this program.
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      return undefined;
    }
  }

  /** The folder that the index of a layer is in. */
  async of({ folder }: HeldLayer): Promise<string> {
    return this.#readOnly ? this.#moved(folder) : (this.#elsewhere.get(folder) ?? folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const temporary = this.#temporary;
    this.#temporary = undefined;
    this.#elsewhere.clear();
    if (temporary !== undefined) await rm(await temporary, { recursive: true, force: true });
  }

  #moved(folder: string): Promise<string> {
    const known = this.#elsewhere.get(folder) ?? this.#move(folder);
    this.#elsewhere.set(folder, known);
    return known;
  }

  async #move(folder: string): Promise<string> {
    this.#temporary ??= mkdtemp(join(tmpdir(), "varve-sources-"));
    const home = join(await this.#temporary, digestHex(digestOf(folder)));
    await mkdir(home);
    // What others have left there serves as it is.
    for (const name of [INDEX_FILE, KNOWN_FILE]) {
      await copyFile(join(folder, name), join(home, name), constants.COPYFILE_FICLONE).catch(() => {});
    }
    return home;
  }
}

/** Passes over that nothing can be kept in a layer's folder, or that it is gone. */
export function unlessReadOnly(error: unknown): void {
  const { code } = error as NodeJS.ErrnoException;
  if (!READ_ONLY.has(code) && code !== "ENOENT") throw error;
}
