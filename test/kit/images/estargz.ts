/**
 * Layers as the stargz snapshotter writes them, eStargz and its dialect of zstd:chunked (formats "estargz", "zstd-chunked" §3), for the reader's
 * tests: the header of a member is in the frame of what stands before it.
 */
import { gzipSync } from "node:zlib";
import { tarPadding, TAR_END } from "../../../src/codec/tar/header.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { headerOf, tocRecord, withoutZeros, type ChunkedMember, type TocRecord } from "./tar-members.ts";
import { frame, skippable, u64s, type ChunkedLayerFixture, type TocDocument } from "./zstd-chunked.ts";

export interface EstargzOptions {
  /** Default gzip; zstd is nerdctl's dialect of zstd:chunked. */
  readonly codec?: "gzip" | "zstd";
  /** Default 64 KiB; writers have 4 MiB. */
  readonly chunkBytes?: number;
  /** A new frame begins only when the last one has as many bytes, not compressed. Default 0: for each file and chunk. */
  readonly minFrameBytes?: number;
  /** Of gzip alone. `external`: the table of contents is not in the blob. Default estargz. */
  readonly footer?: "estargz" | "stargz" | "external";
  /** A file that comes first. Default `.no.prefetch.landmark`. */
  readonly landmark?: string;
  /** Changes the table of contents before it is written. */
  readonly edit?: (toc: TocDocument) => void;
}

export function estargzLayer(members: readonly ChunkedMember[], options: EstargzOptions = {}): ChunkedLayerFixture {
  const { codec = "gzip", minFrameBytes = 0, landmark = ".no.prefetch.landmark" } = options;
  const pack = (bytes: Uint8Array): Buffer => (codec === "gzip" ? gzipSync(bytes) : frame(bytes));
  const frames: Buffer[] = [];
  const tar: Uint8Array[] = [];
  const entries: TocRecord[] = [];
  let offset = 0;
  let open: Uint8Array[] = [];
  let inner = 0;
  const write = (bytes: Uint8Array): void => {
    open.push(bytes);
    inner += bytes.length;
    tar.push(bytes);
  };
  const close = (): void => {
    const packed = pack(Buffer.concat(open));
    frames.push(packed);
    offset += packed.length;
    open = [];
    inner = 0;
  };
  const first: ChunkedMember = { type: "file", name: landmark, content: Buffer.from([0x0f]) };
  for (const member of [first, ...members]) {
    const { content = Buffer.alloc(0) } = member;
    write(headerOf(member));
    const { chunkBytes = 65_536 } = options;
    const record = { ...tocRecord(member), digest: member.type === "file" ? digestOf(content) : "" };
    if (content.length === 0) entries.push(withoutZeros(record) as TocRecord);
    for (let at = 0; at < content.length; at += chunkBytes) {
      const chunk = content.subarray(at, at + chunkBytes);
      if (inner >= minFrameBytes || member === first) close();
      const place = {
        offset,
        innerOffset: inner,
        chunkOffset: at,
        // Left out of files of one chunk and of a last one that is short, but not of one that is just full.
        chunkSize: chunk.length === chunkBytes ? chunkBytes : 0,
        chunkDigest: digestOf(chunk),
      };
      const described = at === 0 ? record : { type: "chunk", name: member.name };
      entries.push(withoutZeros({ ...described, ...place }) as TocRecord);
      write(chunk);
    }
    write(tarPadding(content.length));
  }
  if (options.footer === "external") write(TAR_END);
  close();
  const document: TocDocument = { version: 1, entries };
  options.edit?.(document);
  const toc = Buffer.from(JSON.stringify(document, undefined, "\t"));
  const end = codec === "gzip" ? gzipEnd(toc, offset, options.footer ?? "estargz", tar) : zstdEnd(toc, offset);
  const blob = Buffer.concat([...frames, ...end.frames]);
  const whole = Buffer.concat(tar);
  const annotations = { "containerd.io/snapshot/stargz/toc.digest": digestOf(toc), ...end.annotations };
  const mediaType = `application/vnd.oci.image.layer.v1.tar+${codec}`;
  const descriptor = { mediaType, digest: digestOf(blob), size: blob.length, annotations };
  return { blob, descriptor, tar: whole, diffId: digestOf(whole), toc };
}

interface End {
  readonly frames: Buffer[];
  readonly annotations: Record<string, string>;
}

function zstdEnd(toc: Buffer, offset: number): End {
  const packed = frame(toc);
  const position = [offset + 8, packed.length, toc.length, 1];
  return {
    frames: [skippable(packed), skippable(u64s(position, "GnUlInUx"))],
    annotations: {
      "io.containers.zstd-chunked.manifest-checksum": digestOf(packed),
      "io.containers.zstd-chunked.manifest-position": position.join(":"),
    },
  };
}

function gzipEnd(toc: Buffer, offset: number, footer: "estargz" | "stargz" | "external", tar: Uint8Array[]): End {
  if (footer === "external") return { frames: [estargzFooter("SG\x11\0STARGZEXTERNALTOC")], annotations: {} };
  const member = [
    headerOf({ type: "file", name: "stargz.index.json", content: toc }),
    toc,
    tarPadding(toc.length),
    TAR_END,
  ];
  tar.push(...member);
  const field = `${offset.toString(16).padStart(16, "0")}STARGZ`;
  const end = estargzFooter(footer === "estargz" ? `SG\x16\0${field}` : field);
  return { frames: [gzipSync(Buffer.concat(member)), end], annotations: {} };
}

/** An empty gzip member with an extra field. */
export function estargzFooter(extra: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16LE(extra.length);
  const head = Buffer.from("1f8b08040000000000ff", "hex");
  const tail = Buffer.from("010000ffff0000000000000000", "hex");
  return Buffer.concat([head, length, Buffer.from(extra, "latin1"), tail]);
}
