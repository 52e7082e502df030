/**
 * What a tar-split consists of (formats: vbatts/tar-split `tar/storage/entry.go`): the raw bytes of the archive in
 * segments, and between them, in the place of each payload, the name, size and CRC of the file that holds it.
 */
export type TarSplitEntry = TarSplitSegment | TarSplitFileEntry;

export interface TarSplitSegment {
  readonly type: "segment";
  readonly bytes: Uint8Array;
}

export interface TarSplitFileEntry {
  readonly type: "file";
  /** As in the tar header; bytes that are not UTF-8 escaped as `decodeName` does. */
  readonly name: string;
  /** Bytes of payload. */
  readonly size: number;
  /** CRC-64 (ISO) of the payload, eight bytes big-endian; undefined when `size` is 0. */
  readonly crc: Uint8Array | undefined;
}

/** `type` in the file. */
export const FILE_TYPE = 1;
export const SEGMENT_TYPE = 2;
