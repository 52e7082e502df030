/**
 * Where things lie in a store (OCI image-spec "Image Layout" plus varve's own folders beside it). Names are made from
 * validated digests only, so no path can leave the root.
 */
import { join } from "node:path";
import { digestAlgorithm, digestHex, isDigest, type Digest, type DigestAlgorithm } from "../oci/digest.ts";

export const ALGORITHMS: readonly DigestAlgorithm[] = ["sha256", "sha512"];

export class StoreLayout {
  readonly root: string;
  readonly ociLayout: string;
  readonly indexJson: string;
  readonly blobs: string;
  readonly ingests: string;
  readonly layers: string;
  readonly snapshots: string;
  readonly disks: string;
  /** Disks that are not whole, and what is on its way into the store. */
  readonly partialDisks: string;
  readonly locks: string;
  readonly database: string;
  /** See reserve.ts. */
  readonly reserve: string;

  constructor(root: string) {
    this.root = root;
    this.ociLayout = join(root, "oci-layout");
    this.indexJson = join(root, "index.json");
    this.blobs = join(root, "blobs");
    this.ingests = join(root, "ingest");
    this.layers = join(root, "layers");
    this.snapshots = join(root, "snapshots");
    this.disks = join(root, "disks");
    this.partialDisks = join(this.disks, "partial");
    this.locks = join(root, "locks");
    this.database = join(root, "meta.db");
    this.reserve = join(root, ".reserve");
  }

  blobDirectory(algorithm: DigestAlgorithm): string {
    return join(this.blobs, algorithm);
  }

  blob(digest: Digest): string {
    return join(this.blobs, digestAlgorithm(digest), digestHex(digest));
  }

  /** The folder of a layer that is held as it is, with its index. */
  layer(diffId: Digest): string {
    return join(this.layers, digestAlgorithm(diffId), digestHex(diffId));
  }

  /** The folder of a snapshot. */
  snapshot(id: number): string {
    return join(this.snapshots, String(id));
  }

  diskDirectory(algorithm: DigestAlgorithm): string {
    return join(this.disks, algorithm);
  }

  /** A whole disk. */
  disk(key: Digest): string {
    return join(this.disks, digestAlgorithm(key), digestHex(key));
  }

  /** A folder beside a whole disk, for what was derived from its bytes; it goes with the disk. */
  diskIndex(key: Digest): string {
    return `${this.disk(key)}.index`;
  }

  /** The folder of a partial disk. */
  partialDisk(key: Digest): string {
    return join(this.partialDisks, fileKey(key));
  }

  /** The folder of a partial blob. */
  ingest(digest: Digest): string {
    return join(this.ingests, fileKey(digest));
  }
}

/** A digest as one file name: `sha256-<hex>`. */
export function fileKey(digest: Digest): string {
  return `${digestAlgorithm(digest)}-${digestHex(digest)}`;
}

/** The digest that {@link fileKey} made a name of; undefined for any other name. */
export function digestOfKey(key: string): Digest | undefined {
  const text = key.replace("-", ":");
  return isDigest(text) ? text : undefined;
}
