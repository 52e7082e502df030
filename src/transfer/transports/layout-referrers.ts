/**
 * What refers to the images of a layout. Nothing in it lists referrers by their subject, so all that `index.json` names is looked at, once:
 * manifests that stand there by themselves, as oras and varve leave them, and the lists that others keep under the tag `sha256-<hex>`, as a
 * registry without the referrers API has it.
 */
import { isVarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import { isIndexType, isManifestType } from "../../oci/media-types.ts";
import { referrerEntry } from "../../oci/referrer-entry.ts";
import { fallbackTag } from "../../registry/referrers.ts";
import { REF_NAME } from "./layout-index.ts";

export class LayoutReferrers {
  readonly #entries: readonly Descriptor[];
  readonly #read: (entry: Descriptor) => Promise<Manifest | Index>;
  #bySubject: Promise<ReadonlyMap<Digest, readonly Descriptor[]>> | undefined;

  /** @param entries of index.json */
  constructor(entries: readonly Descriptor[], read: (entry: Descriptor) => Promise<Manifest | Index>) {
    this.#entries = entries;
    this.#read = read;
  }

  async of(subject: Digest): Promise<readonly Descriptor[]> {
    this.#bySubject ??= this.#find();
    const listed = this.#entries.find(({ annotations }) => annotations?.[REF_NAME] === fallbackTag(subject));
    const list = listed && (await this.#readUnlessBroken(listed));
    const all = [...((await this.#bySubject).get(subject) ?? []), ...(list?.kind === "index" ? list.manifests : [])];
    return [...new Map(all.map((descriptor) => [descriptor.digest, descriptor])).values()];
  }

  async #find(): Promise<ReadonlyMap<Digest, readonly Descriptor[]>> {
    const found = new Map<Digest, Descriptor[]>();
    for (const entry of this.#entries) {
      if (!isManifestType(entry.mediaType) && !isIndexType(entry.mediaType)) continue;
      const document = await this.#readUnlessBroken(entry);
      const subject = document?.subject?.digest;
      if (document === undefined || subject === undefined) continue;
      found.set(subject, [...(found.get(subject) ?? []), referrerEntry(document)]);
    }
    return found;
  }

  /** Another image of the layout that is broken is no reason to refuse this one. */
  async #readUnlessBroken(entry: Descriptor): Promise<Manifest | Index | undefined> {
    try {
      return await this.#read(entry);
    } catch (error) {
      if (isVarveError(error) && error.code !== "INTERRUPTED") return undefined;
      throw error;
    }
  }
}
