/**
 * What a tar says of one member, after ustar, PAX, GNU and base-256 extensions are resolved, and the handler that a
 * parser reports to. Names are strings in which a byte that is not part of valid UTF-8 stands as the lone surrogate
 * U+DC00 + byte (Python's "surrogateescape"), so that every name survives the way to the system call and back.
 */
export type TarType = "file" | "link" | "symlink" | "char" | "block" | "directory" | "fifo";

/** A run of stored data inside a sparse file; what lies between runs is a hole. Bytes. */
export interface SparseExtent {
  readonly offset: number;
  readonly length: number;
}

export interface TarTime {
  readonly seconds: number;
  /** 0 ... 999,999,999; counts upwards also before 1970. */
  readonly nanoseconds: number;
}

export interface TarEntry {
  readonly type: TarType;
  /** Exactly as in the header: `./x`, `/x` and trailing `/` stay. */
  readonly name: string;
  /** Empty unless a link or symlink. */
  readonly linkName: string;
  /** Permission bits, at most 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName: string;
  readonly groupName: string;
  /** Bytes of payload that the archive stores for this member (0 for all but files). A sparse 1.0 map counts not. */
  readonly storedSize: number;
  /** Bytes of the file; differs from `storedSize` only for sparse files. */
  readonly size: number;
  readonly modifiedAt: TarTime;
  readonly accessedAt: TarTime | undefined;
  readonly changedAt: TarTime | undefined;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** From `SCHILY.xattr.*` only, by name, in the order of the archive. */
  readonly xattrs: ReadonlyMap<string, Uint8Array> | undefined;
  readonly sparse: readonly SparseExtent[] | undefined;
  /** The type flag byte as it stood in the header. */
  readonly typeFlag: number;
  /** Undefined where the headers say just what stands above. */
  readonly stated: StatedFields | undefined;
}

/** What the headers say (PAX and GNU extensions included) where it means nothing, as Go's archive/tar hands it on. */
export interface StatedFields {
  /** Some writers put the file's type above the permission bits. */
  readonly mode: number;
  /** Of members that are no links too. */
  readonly linkName: string;
  /** Of members without payload too. */
  readonly size: number;
}

/** Called synchronously, in stream order. Bytes are lent for the time of the call only. */
export interface TarHandler {
  /** Raw bytes that are not payload: headers, extension members, padding, end blocks, all that follows them. */
  raw?(bytes: Uint8Array): void;
  /** A member, after all its headers were given to `raw`. */
  entry(entry: TarEntry): void;
  /** A piece of the current member's payload; pieces add up to `storedSize`. */
  data(bytes: Uint8Array): void;
  /** So many bytes of the current member's payload were not read: `TarParser.skip`. They count as if `data` had got them. */
  skip?(length: number): void;
  /** The current member's payload is complete (called for every member, also those without payload). */
  endEntry(): void;
  /** A PAX global header, after its bytes were given to `raw`. It applies to nothing here, as in Go's engines. */
  globalHeader?(name: string): void;
  /** The end blocks were given to `raw`, or the archive ended without them; what `raw` gets after it is no tar. */
  endOfArchive?(): void;
}

/** Bounds on what a hostile archive may cost. */
export interface TarLimits {
  /** Members. Default 10,000,000. */
  readonly entries?: number;
  /** Bytes of one PAX or GNU extension payload. Default 1 MiB, as Go's reader. */
  readonly extensionBytes?: number;
  /** Bytes of a name or link name. Default 4096 (PATH_MAX). */
  readonly nameBytes?: number;
  /** Sparse extents of one file. Default 1,000,000. */
  readonly sparseExtents?: number;
}
