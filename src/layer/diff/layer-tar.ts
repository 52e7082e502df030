/**
 * Writes changes as a layer's tar (OCI image-spec, layer.md, "Representing Changes"): in the order in which they come, removals as
 * whiteouts. The same changes always give the same bytes: no names of users, no access times, and PAX headers only where a plain
 * one does not do.
 */
import { encodeTarEntry, TAR_END, tarPadding, type TarEntryInit } from "../../codec/tar/header.ts";
import type { TarTime } from "../../codec/tar/entry.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { nameLength } from "../../sys/path-bytes.ts";
import { overLimit } from "../limits.ts";
import { quoteName } from "../names.ts";
import { boundTime } from "../times.ts";
import type { Change, ChangedNode, Presence } from "./change.ts";
import { Chunks } from "./chunks.ts";
import { isUnchanged } from "./entry.ts";
import { changedMeanwhile, readFault } from "./fault.ts";

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
/** Bounds of readers, ours among them: see TarLimits. */
const MAX_NAME = 4096;
const MAX_HEADERS = 1024 * 1024;

export interface LayerTarOptions {
  /** Seconds since 1970 that no time in the tar is later than (reproducible-builds.org, "SOURCE_DATE_EPOCH"). Default: no bound. */
  readonly sourceDateEpoch?: number;
  readonly signal?: AbortSignal;
}

/**
 * The tar in chunks of at most 1 MiB, which belong to the consumer; memory does not grow with what is written.
 *
 * @throws VarveError `SOURCE_CHANGED` when a file grows, shrinks or is written to while it is read; `PATH_INVALID` for names that would
 * be whiteouts; `LAYER_LIMIT` for what readers refuse; what `changes` throws; the signal's reason
 */
export async function* writeLayerTar(
  changes: AsyncIterable<Change>,
  options: LayerTarOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { sourceDateEpoch, signal } = options;
  const out = new Chunks();
  for await (const change of changes) {
    signal?.throwIfAborted();
    yield* out.add(headersOf(change, sourceDateEpoch));
    if (change.kind === "delete" || !isStored(change.node)) continue;
    yield* copyContent(change, out, signal);
    yield* out.add(tarPadding(change.node.size));
  }
  yield* out.add(TAR_END);
  yield* out.rest();
}

/** All header blocks that a change needs. */
function headersOf(change: Change, sourceDateEpoch: number | undefined): Uint8Array {
  const { path } = change;
  if (change.kind === "delete") return whiteout(path, lastName(path));
  const header = encodeTarEntry(entryOf(change, sourceDateEpoch));
  if (header.byteLength > MAX_HEADERS) throw overLimit(`bytes in the headers of ${quoteName(path)}`, MAX_HEADERS);
  return change.opaque ? Buffer.concat([header, encodeTarEntry(marker(`${path}/${OPAQUE}`))]) : header;
}

/** Generators put no time and no mode into markers; all readers ignore both. */
function marker(name: string): TarEntryInit {
  return { type: "file", name, mode: 0, modifiedAt: { seconds: 0, nanoseconds: 0 } };
}

function whiteout(path: string, base: string): Uint8Array {
  mustBePlain(path, base);
  return encodeTarEntry(marker(mustFit(`${path.slice(0, path.length - base.length)}${WHITEOUT}${base}`)));
}

function entryOf({ path, node }: Presence, sourceDateEpoch: number | undefined): TarEntryInit {
  mustBePlain(path, lastName(path));
  const linked = node.linkedTo !== undefined;
  return {
    type: linked ? "link" : node.type,
    name: mustFit(path === "" ? "./" : node.type === "directory" ? `${path}/` : path),
    linkName: node.linkedTo ?? node.target,
    mode: node.mode,
    uid: node.uid,
    gid: node.gid,
    size: linked ? 0 : node.size,
    modifiedAt: clamp(boundTime(node.modifiedAt), sourceDateEpoch),
    deviceMajor: linked ? 0 : node.deviceMajor,
    deviceMinor: linked ? 0 : node.deviceMinor,
    // Of links too: an engine that sets the owner again through the link makes the kernel drop capabilities.
    ...(node.xattrs.size > 0 && { xattrs: node.xattrs }),
  };
}

function clamp(time: TarTime, latest: number | undefined): TarTime {
  if (latest === undefined || time.seconds < latest) return time;
  return { seconds: latest, nanoseconds: 0 };
}

function isStored({ type, linkedTo }: ChangedNode): boolean {
  return type === "file" && linkedTo === undefined;
}

async function* copyContent(
  { path, node }: Presence,
  out: Chunks,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (node.size === 0) return;
  try {
    using file = node.open();
    const before = file.stat();
    for (let done = 0; done < node.size;) {
      signal?.throwIfAborted();
      const space = out.space();
      const length = Math.min(space.byteLength, node.size - done);
      if ((await file.read(space, done, length)) < length) throw changedMeanwhile(path);
      done += length;
      yield* out.filled(length);
    }
    if (!isUnchanged(file.stat(), before)) throw changedMeanwhile(path);
  } catch (error) {
    throw signal?.aborted === true ? error : readFault(error, path);
  }
}

/** @throws VarveError `PATH_INVALID`: a layer has no way to hold a file of such a name */
function mustBePlain(path: string, base: string): void {
  if (!base.startsWith(WHITEOUT)) return;
  throw new VarveError("PATH_INVALID", `a layer cannot hold ${quoteName(path)}: the name would delete another file`, {
    hint: "give it a name that does not begin with .wh.",
    detail: { path },
  });
}

function mustFit(name: string): string {
  if (nameLength(name) > MAX_NAME) throw overLimit(`bytes of a name (${quoteName(name)})`, MAX_NAME);
  return name;
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
