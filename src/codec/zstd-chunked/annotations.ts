/**
 * What a manifest says of a zstd:chunked layer, in its annotations (formats "zstd-chunked" §1.1, §3): where the table of contents lies in the
 * blob and what its digest is. There are two dialects, podman's and the one of the stargz snapshotter that nerdctl writes.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";

/** The keys, in both dialects. */
export const ZSTD_CHUNKED_ANNOTATIONS = {
  podman: {
    tocDigest: "io.github.containers.zstd-chunked.manifest-checksum",
    tocPosition: "io.github.containers.zstd-chunked.manifest-position",
    tarSplitPosition: "io.github.containers.zstd-chunked.tarsplit-position",
  },
  nerdctl: {
    tocDigest: "io.containers.zstd-chunked.manifest-checksum",
    tocPosition: "io.containers.zstd-chunked.manifest-position",
    /** Of the decompressed TOC; layers of eStargz have it as well. */
    plainTocDigest: "containerd.io/snapshot/stargz/toc.digest",
  },
} as const;

/** The only type of TOC there is. */
const TOC_TYPE = 1;

/** A zstd-compressed document within the blob. */
export interface DocumentPlace {
  /** Of its first byte in the blob, behind the header of the skippable frame. */
  readonly offset: number;
  /** Bytes in the blob. */
  readonly compressed: number;
  /** Bytes of the document itself. */
  readonly uncompressed: number;
}

export interface PodmanAnnotations {
  readonly dialect: "podman";
  readonly toc: DocumentPlace;
  /** Of the compressed TOC. */
  readonly tocDigest: Digest;
  /** Early images have none; its digest stands in the TOC, in images that have a trustworthy one. */
  readonly tarSplit?: DocumentPlace;
}

export interface NerdctlAnnotations {
  readonly dialect: "nerdctl";
  readonly toc: DocumentPlace;
  /** Of the compressed TOC. */
  readonly tocDigest: Digest;
  /** Of the decompressed TOC. */
  readonly plainTocDigest?: Digest;
}

export type ZstdChunkedAnnotations = PodmanAnnotations | NerdctlAnnotations;

/**
 * Reads the annotations of a layer; those of other formats are left alone. Undefined when it is no zstd:chunked layer.
 * @param blobSize bytes of the layer's blob, which all places must lie in
 * @throws TOC_INVALID when they contradict themselves or the blob
 */
export function parseZstdChunkedAnnotations(
  annotations: Readonly<Record<string, string>> = {},
  blobSize: number,
): ZstdChunkedAnnotations | undefined {
  const { podman, nerdctl } = ZSTD_CHUNKED_ANNOTATIONS;
  const get = (key: string): string | undefined => (Object.hasOwn(annotations, key) ? annotations[key] : undefined);
  const plain = get(nerdctl.plainTocDigest);
  if (get(podman.tocDigest) !== undefined) {
    // Two tables of contents may differ, and programs in which one they believe. Podman refuses such a layer.
    if (plain !== undefined) throw invalid("names two tables of contents");
    const tarSplit = get(podman.tarSplitPosition);
    return {
      dialect: "podman",
      tocDigest: digestIn(podman.tocDigest, get(podman.tocDigest)),
      toc: tocPlace(podman.tocPosition, get(podman.tocPosition), blobSize),
      ...(tarSplit !== undefined && { tarSplit: place(podman.tarSplitPosition, tarSplit, 3, blobSize) }),
    };
  }
  if (get(nerdctl.tocDigest) === undefined) return undefined;
  return {
    dialect: "nerdctl",
    tocDigest: digestIn(nerdctl.tocDigest, get(nerdctl.tocDigest)),
    toc: tocPlace(nerdctl.tocPosition, get(nerdctl.tocPosition), blobSize),
    ...(plain !== undefined && { plainTocDigest: digestIn(nerdctl.plainTocDigest, plain) }),
  };
}

/** The annotations of a layer, ready for its descriptor. */
export function formatZstdChunkedAnnotations(layer: ZstdChunkedAnnotations): Record<string, string> {
  const { podman, nerdctl } = ZSTD_CHUNKED_ANNOTATIONS;
  if (layer.dialect === "podman") {
    return {
      [podman.tocDigest]: layer.tocDigest,
      [podman.tocPosition]: `${numbers(layer.toc)}:${TOC_TYPE}`,
      ...(layer.tarSplit && { [podman.tarSplitPosition]: numbers(layer.tarSplit) }),
    };
  }
  return {
    ...(layer.plainTocDigest && { [nerdctl.plainTocDigest]: layer.plainTocDigest }),
    [nerdctl.tocDigest]: layer.tocDigest,
    [nerdctl.tocPosition]: `${numbers(layer.toc)}:${TOC_TYPE}`,
  };
}

function numbers({ offset, compressed, uncompressed }: DocumentPlace): string {
  return `${offset}:${compressed}:${uncompressed}`;
}

function digestIn(key: string, value: string | undefined): Digest {
  if (isDigest(value)) return value;
  throw invalid(`has no digest in ${key}`);
}

function tocPlace(key: string, value: string | undefined, blobSize: number): DocumentPlace {
  if (value === undefined) throw invalid(`lacks ${key}`);
  return place(key, value, 4, blobSize);
}

function place(key: string, value: string, count: 3 | 4, blobSize: number): DocumentPlace {
  const parts = /^[0-9]{1,16}(:[0-9]{1,16}){2,3}$/.test(value) ? value.split(":").map(Number) : [];
  if (parts.length !== count) throw invalid(`has something else than ${count} numbers in ${key}`);
  const [offset = 0, compressed = 0, uncompressed = 0, type = TOC_TYPE] = parts;
  if (type !== TOC_TYPE) throw invalid(`has a table of contents of the unknown type ${type}`);
  if (!parts.every(Number.isSafeInteger) || offset === 0 || compressed === 0 || offset + compressed > blobSize) {
    throw invalid(`names a place outside of the blob in ${key}`);
  }
  return { offset, compressed, uncompressed };
}

function invalid(what: string): VarveError {
  return new VarveError("TOC_INVALID", `the manifest ${what}`);
}
