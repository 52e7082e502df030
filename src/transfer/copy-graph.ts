/**
 * What a copy has to put: the documents from the root down, with what refers to them where that is asked for. What is at the destination
 * already is looked for first, from above: of a part that is there nothing below it is read or asked for.
 */
import { DISK_INDEX_TYPE } from "../codec/disk-index/index-manifest.ts";
import { formatOf } from "../codec/tart/format-of.ts";
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Index, Manifest } from "../oci/manifest.ts";
import { formatPlatform } from "../oci/platform.ts";
import { isDocument } from "./copy-order.ts";
import { inParallel } from "./in-parallel.ts";
import { MAX_INDEX_DEPTH } from "./pick-platform.ts";
import type { ImageSink, ImageSource } from "./transports/types.ts";

/** All documents of one copy are held in memory; those of the largest images there are come to less than a tenth of this. */
const MAX_DOCUMENTS_BYTES = 64 * 1024 * 1024;
const MAX_DOCUMENTS = 10_000;
/** A signature of an inventory of an image is two deep. */
const MAX_REFERRER_DEPTH = 4;

/** What is not there yet. */
export interface CopyGraph {
  /** The root, where it is not there, and what it names, in no certain order. */
  readonly parts: readonly (Manifest | Index)[];
  /** What refers to others; what these name is among the parts. */
  readonly referrers: readonly (Manifest | Index)[];
}

export interface GraphOptions {
  /**
   * Whether what refers to the documents comes along, and what refers to that; or only the index of a disk's chunks, which belongs to what this program
   * makes of a disk, and is missed by nobody where it cannot be had.
   */
  readonly referrers: boolean | "disk-index";
  /** Questions at once. */
  readonly concurrency: number;
  /** For messages. */
  readonly name: string;
}

/** A document that is on the way, and how it was come by. */
interface Wanted {
  readonly descriptor: Descriptor;
  /** Of the root, which is read already. */
  readonly document?: Manifest | Index;
  /** Whether what names it is there, and with that it. */
  readonly isThere: boolean;
  readonly isReferrer: boolean;
  /** Of a referrer, whether it can be found by its subject. */
  readonly isListed: boolean;
  /** Indexes above it. */
  readonly depth: number;
  /** Documents that it refers to through each other. */
  readonly referrerDepth: number;
}

interface Looked {
  /** To be put. */
  readonly found?: Manifest | Index;
  readonly isReferrer: boolean;
  readonly next: readonly Wanted[];
}

/** @throws VarveError `MANIFEST_UNKNOWN` when the source lacks a document, `MANIFEST_INVALID`, `MANIFEST_TOO_LARGE` */
export function findCopyGraph(
  source: ImageSource,
  sink: ImageSink,
  root: Manifest | Index,
  options: GraphOptions,
): Promise<CopyGraph> {
  return new GraphSearch(source, sink, options).run(root);
}

class GraphSearch {
  readonly #source: ImageSource;
  readonly #sink: ImageSink;
  readonly #options: GraphOptions;
  readonly #seen = new Set<Digest>();
  #bytes = 0;

  constructor(source: ImageSource, sink: ImageSink, options: GraphOptions) {
    this.#source = source;
    this.#sink = sink;
    this.#options = options;
  }

  async run(root: Manifest | Index): Promise<CopyGraph> {
    const descriptor = { mediaType: root.mediaType, digest: root.digest, size: root.bytes.length };
    const start = {
      descriptor,
      document: root,
      isThere: false,
      isReferrer: false,
      isListed: true,
      depth: 0,
      referrerDepth: 0,
    };
    const all: Looked[] = [];
    this.#seen.add(root.digest);
    for (let level: Wanted[] = [start]; level.length > 0;) {
      const answers = new Map<Wanted, Looked>();
      await inParallel(level, this.#options.concurrency, async (wanted) => {
        answers.set(wanted, await this.#look(wanted));
      });
      // In the order of the documents, whoever answered first: what is written of it is then the same each time.
      const looked = level.flatMap((wanted) => answers.get(wanted) ?? []);
      all.push(...looked);
      level = this.#unseen(looked.flatMap(({ next }) => next));
    }
    const found = (referrers: boolean): (Manifest | Index)[] =>
      all.flatMap((looked) => (looked.isReferrer === referrers && looked.found !== undefined ? [looked.found] : []));
    return { parts: found(false), referrers: found(true) };
  }

  async #look(wanted: Wanted): Promise<Looked> {
    const { descriptor, isReferrer } = wanted;
    const { referrers } = this.#options;
    const isThere = await this.#isThere(wanted);
    // Before an image was there, its index was.
    if (isThere && referrers !== true) return { isReferrer, next: [] };
    const document = wanted.document ?? (await this.#read(descriptor, isThere));
    return {
      ...(!isThere && document !== undefined && { found: document }),
      isReferrer,
      next: [
        ...(document?.kind === "index" ? partsOf(document, wanted, isThere) : []),
        ...(referrers === true ? await this.#referrersOf(wanted) : []),
        ...(referrers === "disk-index" && !isReferrer && isDisk(document) ? await this.#diskIndexOf(wanted) : []),
      ],
    };
  }

  /** A referrer that is not listed is put once more, for that lists it: a push before may have been stopped in between. */
  async #isThere({ descriptor, isThere, isListed }: Wanted): Promise<boolean> {
    return isListed && (isThere || ((await this.#sink.hasWhole?.(descriptor)) ?? false));
  }

  /** Undefined when it cannot be had and need not be, as it is there. */
  async #read(descriptor: Descriptor, isThere: boolean): Promise<Manifest | Index | undefined> {
    try {
      const document = await this.#source.document(descriptor);
      this.#bytes += document.bytes.length;
      if (this.#bytes > MAX_DOCUMENTS_BYTES) throw tooMuch(this.#options.name, `${MAX_DOCUMENTS_BYTES} bytes`);
      return document;
    } catch (error) {
      if (!isVarveError(error, "BLOB_UNKNOWN") && !isVarveError(error, "MANIFEST_UNKNOWN")) throw error;
      if (isThere) return undefined;
      throw lacking(this.#options.name, descriptor, error);
    }
  }

  async #referrersOf({ descriptor, depth, referrerDepth }: Wanted): Promise<Wanted[]> {
    const found = (await this.#source.referrers?.(descriptor.digest)) ?? [];
    if (found.length > 0 && referrerDepth >= MAX_REFERRER_DEPTH) {
      const { name } = this.#options;
      throw new VarveError("MANIFEST_INVALID", `${name}: what refers to ${descriptor.digest} is nested too deep`);
    }
    const documents = found.filter(({ mediaType }) => isDocument(mediaType));
    const listed = documents.length === 0 ? [] : await this.#sink.listed?.(descriptor.digest);
    const more = { isThere: false, isReferrer: true, depth, referrerDepth: referrerDepth + 1 };
    return documents.map((document) => {
      const isListed = listed?.some(({ digest }) => digest === document.digest) ?? true;
      return Object.assign({ descriptor: document, isListed }, more);
    });
  }

  async #diskIndexOf({ descriptor, depth }: Wanted): Promise<Wanted[]> {
    const found = await this.#source.referrers?.(descriptor.digest).catch((error: unknown) => {
      if (isVarveError(error) && error.code !== "INTERRUPTED") return [];
      throw error;
    });
    return (found ?? [])
      .filter(({ mediaType, artifactType }) => isDocument(mediaType) && artifactType === DISK_INDEX_TYPE)
      .map((index) => ({
        descriptor: index,
        isThere: false,
        isReferrer: true,
        isListed: true,
        depth,
        referrerDepth: 1,
      }));
  }

  /** Each document once. One that is also named is a part of the image rather than what refers to it. */
  #unseen(wanted: readonly Wanted[]): Wanted[] {
    const unseen = new Map<Digest, Wanted>();
    for (const one of wanted) {
      const { digest } = one.descriptor;
      const other = unseen.get(digest);
      if (this.#seen.has(digest) || (other !== undefined && (one.isReferrer || !other.isReferrer))) continue;
      unseen.set(digest, one);
    }
    const { name } = this.#options;
    for (const [digest, { depth }] of unseen) {
      this.#seen.add(digest);
      if (depth >= MAX_INDEX_DEPTH) throw new VarveError("MANIFEST_INVALID", `${name}: indexes are nested too deep`);
    }
    if (this.#seen.size > MAX_DOCUMENTS) throw tooMuch(name, `${MAX_DOCUMENTS} documents`);
    return [...unseen.values()];
  }
}

function isDisk(document: Manifest | Index | undefined): boolean {
  return document?.kind === "manifest" && formatOf(document) !== undefined;
}

function partsOf(index: Index, { depth, referrerDepth }: Wanted, isThere: boolean): Wanted[] {
  const more = { isThere, isReferrer: false, isListed: true, depth: depth + 1, referrerDepth };
  return index.manifests
    .filter(({ mediaType }) => isDocument(mediaType))
    .map((descriptor) => Object.assign({ descriptor }, more));
}

function tooMuch(name: string, most: string): VarveError {
  return new VarveError("MANIFEST_TOO_LARGE", `the manifests of ${name} have more than ${most}`, {
    hint: "copy one platform of it, with --platform, and leave out --referrers",
  });
}

function lacking(name: string, { digest, platform }: Descriptor, cause: VarveError): VarveError {
  const what = platform === undefined ? digest : `${digest}, for ${formatPlatform(platform)}`;
  return new VarveError("MANIFEST_UNKNOWN", `${name} lacks a part of its index: ${what}`, {
    hint: "leave out --all to copy one platform of it; varve copy --all docker://FROM docker://TO copies all, straight from one registry to the other",
    cause,
  });
}
