/** What the manifest of a virtual machine says of its disks, whoever wrote it: where each byte of them comes from. */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";

/** How a chunk's blob holds its bytes: a stream of Apple LZ4, LZ4 frames as the `lz4` program writes them, gzip members, or as they are. */
export type ChunkCoding = "apple-lz4" | "lz4-frames" | "gzip" | "stored";

/** A run of a disk's bytes that has a blob of its own. */
export interface DiskChunk {
  readonly blob: Descriptor;
  readonly coding: ChunkCoding;
  /** Of its first byte in the disk. */
  readonly offset: number;
  /** Bytes of the disk. */
  readonly size: number;
  /** Of these bytes; early writers of other formats than Tart's leave it out. */
  readonly digest?: Digest;
}

/** A disk of which each chunk can be had by itself. */
export interface ChunkedDisk {
  readonly kind: "chunks";
  /** A file's name, or in stacks of disks the hex digits of `digest`. Never a path. */
  readonly name: string;
  /** In the order of the disk, without gaps. */
  readonly chunks: readonly DiskChunk[];
  /** Bytes: the sum of all chunks. */
  readonly size: number;
  /** Of the whole disk, where it is known. */
  readonly digest?: Digest;
}

/** A disk that is one stream of Apple LZ4, cut into blobs anywhere: it can only be decoded from its start, to nobody knows how many bytes. */
export interface StreamedDisk {
  readonly kind: "stream";
  readonly name: string;
  readonly blobs: readonly Descriptor[];
}

export interface DiskImage {
  readonly format: "tart" | "vetu" | "lume";
  /** The virtual machine's own configuration, JSON. */
  readonly config: Descriptor;
  readonly nvram?: Descriptor;
  readonly kernel?: Descriptor;
  readonly initramfs?: Descriptor;
  /** At least one. In a stack of disks the base comes first, and each is an overlay over those before it. */
  readonly disks: readonly (ChunkedDisk | StreamedDisk)[];
  /** The disks are a stack: one disk of a machine, to be put together by whoever runs it. */
  readonly stacked: boolean;
  /** Bytes that the machine sees, as the manifest says; nothing is held to it. */
  readonly statedSize?: number;
  /** Of a stack: bytes of the machine's blocks. */
  readonly blockSize?: number;
  /** As it stands there. */
  readonly uploadTime?: string;
  /** Whether current Tart takes the manifest: layers in its order, with all annotations. */
  readonly canonical: boolean;
}

/** The name that Tart and lume give to the only disk. */
export const DISK_NAME = "disk.img";
