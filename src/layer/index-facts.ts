/** What is remembered of a layer beside its tar and its index: `layer.json`. It is written last, so where it is, all is. */
import { VarveError } from "../errors/varve-error.ts";
import { digestHex, digestOf, isDigest, type Digest } from "../oci/digest.ts";
import type { OpenEnds } from "./layer-target.ts";
import type { ApplyReport } from "./report.ts";

export const FILES = { tar: "layer.tar", index: "index.erofs", extra: "extra", facts: "layer.json" } as const;
const VERSION = 1;

export interface IndexFacts {
  readonly diffId: Digest;
  /** Bytes of the tar. */
  readonly size: number;
  /** Members of the tar. */
  readonly entries: number;
  /** Bytes of the extra file; without any there is no such file. */
  readonly extraSize: number;
  readonly index: { readonly size: number; readonly digest: Digest };
  readonly open: OpenEnds;
  readonly report: ApplyReport;
}

/** How a layer's tar is called among the devices of an index, which is for people only. */
export function deviceTag(diffId: Digest): string {
  return digestHex(diffId).slice(0, 48);
}

/** The 16 bytes that name an index, from the DiffIDs of its layers: an UUID of version 8 (RFC 9562), the same for the same layers. */
export function indexUuid(diffIds: readonly Digest[]): Uint8Array {
  const uuid = Uint8Array.from(Buffer.from(digestHex(digestOf(diffIds.join(" "))).slice(0, 32), "hex"));
  uuid[6] = ((uuid[6] ?? 0) & 0x0f) | 0x80;
  uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80;
  return uuid;
}

export function writeFacts(facts: IndexFacts): string {
  const { replay = null } = facts.open;
  return `${JSON.stringify({ version: VERSION, ...facts, open: { implied: facts.open.implied, replay } })}\n`;
}

/** @param path for messages @throws INDEX_INVALID when the text says anything else than `writeFacts` writes */
export function readFacts(text: string, path: string): IndexFacts {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new VarveError("INDEX_INVALID", `${path} is not valid JSON`, { cause });
  }
  if (!isObject(value) || value["version"] !== VERSION) throw unknownFacts(path);
  const { diffId, size, entries, extraSize, index, open, report } = value;
  if (!isDigest(diffId) || !isCount(size) || !isCount(entries) || !isCount(extraSize)) throw unknownFacts(path);
  if (!isObject(index) || !isCount(index["size"]) || !isDigest(index["digest"])) throw unknownFacts(path);
  if (!isReport(report)) throw unknownFacts(path);
  return {
    diffId,
    size,
    entries,
    extraSize,
    index: { size: index["size"], digest: index["digest"] },
    open: openOf(open, path),
    report,
  };
}

function openOf(open: unknown, path: string): OpenEnds {
  if (!isObject(open)) throw unknownFacts(path);
  const { implied, replay } = open;
  if (!isTexts(implied) || !(replay === null || typeof replay === "string")) throw unknownFacts(path);
  return { implied, replay: replay ?? undefined };
}

function isReport(value: unknown): value is ApplyReport {
  if (!isObject(value)) return false;
  const { entries, files, bytes, directories, links, whiteouts, skipped, warnings } = value;
  const counts = [entries, files, bytes, directories, links, whiteouts];
  if (!counts.every(isCount) || !isTexts(warnings) || !isObject(skipped)) return false;
  return [skipped["owners"], skipped["devices"], skipped["xattrs"]].every(isCount);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function unknownFacts(path: string): VarveError {
  return new VarveError("INDEX_INVALID", `${path} is not of a kind that this version knows`);
}
