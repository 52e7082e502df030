/** What the parts of one check share. */
import type { ChunkedDisk, StreamedDisk } from "../../codec/tart/disk-image.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import type { Lease } from "../../store/leases.ts";
import type { Store } from "../../store/store.ts";
import type { TransferContext } from "../context.ts";
import type { Findings } from "./findings.ts";

/** `whole`: its bytes are the digest's. */
export type BlobState = "whole" | "damaged" | "missing";

/** A layer and what it must unpack to. */
export interface ImageLayer {
  readonly image: string;
  readonly blob: Descriptor;
  readonly diffId: Digest;
}

/** A disk, and the first image that has it. */
export interface ImageDisk {
  readonly image: string;
  readonly manifest: Manifest;
  readonly disk: ChunkedDisk | StreamedDisk;
}

export interface Check {
  readonly context: TransferContext;
  readonly store: Store;
  readonly findings: Findings;
  readonly repair: boolean;
  readonly concurrency: number;
  /** Of the blobs that were looked at, and since then of those that were mended. */
  readonly states: Map<Digest, BlobState>;
  /** Protects what is fetched until the end; there only when mending. */
  readonly lease: Lease | undefined;
  /** What the images that were checked say of their layers, by DiffID. */
  readonly layers: Map<Digest, ImageLayer>;
  /** Disks of the machines that were checked, by their keys. */
  readonly disks: Map<Digest, ImageDisk>;
  /** Blobs of these disks' chunks, which need not be here as long as the disks are. */
  readonly chunks: Set<Digest>;
  readonly counts: { blobs: number; bytes: number; layers: number; images: number; snapshots: number; disks: number };
}
