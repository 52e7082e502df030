/**
 * Which images `prune` takes out: a pure function, so that it can be tested on any store that one can think of.
 *
 * Never taken are the newest image of each repository, what the filter or the age leaves out, and bases: images whose layers
 * another image that stays begins with.
 */
import { digestOf } from "../oci/digest.ts";

export interface PrunableImage {
  /** Canonical, for example `docker.io/library/debian:12`. */
  readonly name: string;
  /** The name without tag and digest. */
  readonly repository: string;
  /** When it was last put or found up to date, milliseconds since 1970. */
  readonly usedAt: number;
  /** DiffIDs, from the lowest up. */
  readonly layers: readonly string[];
  /** Blobs of the store that it needs. */
  readonly digests: readonly string[];
}

export interface PruneRules {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Only images that were not used for so long, in milliseconds. Default: of any age. */
  readonly olderThanMs?: number;
  /** Stop when the store takes no more than this, in bytes. Default: take out all that may be. */
  readonly keepBytes?: number;
  /** Only images whose canonical name it accepts. Default: all. */
  readonly accepts?: (name: string) => boolean;
}

export interface PruneFacts {
  readonly images: readonly PrunableImage[];
  /** Bytes of the store once garbage is collected, with all images. */
  readonly storeBytes: number;
  /** What is freed when no image needs the digest any more; 0 for what something else needs too. */
  readonly freedBy: (digest: string) => number;
}

export type KeptBecause = "newest" | "filter" | "recent" | "base" | "small-enough";

export interface PruneChoice {
  /** In the order in which they go, the least recently used first. */
  readonly remove: readonly PrunableImage[];
  readonly keep: readonly { readonly name: string; readonly reason: KeptBecause }[];
  /** Bytes of the store after that. */
  readonly storeBytes: number;
}

export function choosePrunable(facts: PruneFacts, rules: PruneRules): PruneChoice {
  const { images } = facts;
  const { now, olderThanMs = 0, keepBytes = -1, accepts = () => true } = rules;
  const newest = newestOfEach(images);
  const firm = new Map<PrunableImage, KeptBecause>();
  for (const image of images) {
    if (newest.has(image)) firm.set(image, "newest");
    else if (!accepts(image.name)) firm.set(image, "filter");
    else if (now - image.usedAt < olderThanMs) firm.set(image, "recent");
  }
  const bases = new Bases(images, firm);
  const space = new Space(facts);
  const waiting = images.filter((image) => !firm.has(image)).toSorted(byUse);
  const remove: PrunableImage[] = [];
  while (space.bytes > keepBytes) {
    // From the start each time: with what was taken last, an older base may have lost the image that kept it.
    const at = waiting.findIndex((image) => !bases.isBase(image));
    const [image] = at < 0 ? [] : waiting.splice(at, 1);
    if (image === undefined) break;
    bases.remove(image);
    space.remove(image);
    remove.push(image);
  }
  const small = space.bytes <= keepBytes;
  const reason = (image: PrunableImage): KeptBecause =>
    firm.get(image) ?? (bases.isBase(image) || !small ? "base" : "small-enough");
  const gone = new Set(remove);
  const keep = images.filter((image) => !gone.has(image)).map((image) => ({ name: image.name, reason: reason(image) }));
  return { remove, keep, storeBytes: space.bytes };
}

/** Least recently used first; ties by name, so that the same store always gives the same answer. */
function byUse(a: PrunableImage, b: PrunableImage): number {
  return a.usedAt - b.usedAt || (a.name < b.name ? -1 : 1);
}

function newestOfEach(images: readonly PrunableImage[]): Set<PrunableImage> {
  const newest = new Map<string, PrunableImage>();
  for (const image of images.toSorted(byUse)) newest.set(image.repository, image);
  return new Set(newest.values());
}

/** Who is built on whom, among the images that are left. */
class Bases {
  /** How many of the images that are left go on after these layers. */
  readonly #continued = new Map<string, number>();
  /** Layers of images that certainly stay. */
  readonly #firm = new Set<string>();
  readonly #keys = new Map<PrunableImage, readonly string[]>();

  constructor(images: readonly PrunableImage[], firm: ReadonlyMap<PrunableImage, unknown>) {
    for (const image of images) {
      const keys = stackKeys(image.layers);
      this.#keys.set(image, keys);
      this.#count(keys, 1);
      const last = keys.at(-1);
      if (last !== undefined && firm.has(image)) this.#firm.add(last);
    }
  }

  isBase(image: PrunableImage): boolean {
    const last = this.#keys.get(image)?.at(-1);
    return last !== undefined && ((this.#continued.get(last) ?? 0) > 0 || this.#firm.has(last));
  }

  remove(image: PrunableImage): void {
    this.#count(this.#keys.get(image) ?? [], -1);
  }

  #count(keys: readonly string[], change: number): void {
    for (const key of keys.slice(0, -1)) this.#continued.set(key, (this.#continued.get(key) ?? 0) + change);
  }
}

/** One key for each number of layers from below: equal keys mean equal layers. */
function stackKeys(layers: readonly string[]): string[] {
  let key = "";
  return layers.map((layer) => (key = digestOf(`${key} ${layer}`)));
}

/** How large the store is with the images that are left. */
class Space {
  bytes: number;
  readonly #users = new Map<string, number>();
  readonly #freedBy: PruneFacts["freedBy"];

  constructor({ images, storeBytes, freedBy }: PruneFacts) {
    this.bytes = storeBytes;
    this.#freedBy = freedBy;
    for (const { digests } of images) {
      for (const digest of new Set(digests)) this.#users.set(digest, (this.#users.get(digest) ?? 0) + 1);
    }
  }

  remove({ digests }: PrunableImage): void {
    for (const digest of new Set(digests)) {
      const users = (this.#users.get(digest) ?? 0) - 1;
      this.#users.set(digest, users);
      if (users === 0) this.bytes -= this.#freedBy(digest);
    }
  }
}
