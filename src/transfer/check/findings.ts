/** What a check of the store found, and whether it was mended. */
import type { Digest } from "../../oci/digest.ts";

export type FindingKind =
  | "layout"
  | "database"
  | "image-record"
  | "index"
  | "blob-damaged"
  | "blob-truncated"
  | "blob-missing"
  | "document-invalid"
  | "diffid-mismatch"
  | "layer-record"
  | "layer-damaged"
  | "disk-missing"
  | "disk-damaged"
  | "disk-mode"
  | "disk-record"
  | "snapshot-missing"
  | "snapshot-damaged"
  | "index-damaged"
  | "snapshot-stale"
  | "blob-unreferenced"
  | "disk-unreferenced"
  | "partial-stale"
  | "lock-stale"
  | "record-unused"
  | "file-unknown";

/** What is only left over. It takes space and does no harm; `gc` removes most of it. */
const HARMLESS: ReadonlySet<FindingKind> = new Set([
  "blob-unreferenced",
  "disk-unreferenced",
  "partial-stale",
  "lock-stale",
  "record-unused",
  "file-unknown",
  "snapshot-stale",
]);

export interface Finding {
  readonly kind: FindingKind;
  /** `error`: the store is not what it says. `note`: something is left over. */
  readonly severity: "error" | "note";
  readonly digest?: Digest;
  /** The image that it was found for; others may be hit as well. */
  readonly image?: string;
  readonly path?: string;
  readonly message: string;
  /** Only when mending was asked for. */
  readonly repaired?: boolean;
}

type Facts = Pick<Finding, "digest" | "image" | "path">;

/** Collects findings; one thing that is wrong with one digest is found once, however many images need it. */
export class Findings {
  readonly #repair: boolean;
  readonly #all = new Map<string, { finding: Omit<Finding, "repaired">; repaired: boolean; why: string }>();

  constructor(repair: boolean) {
    this.#repair = repair;
  }

  add(kind: FindingKind, message: string, facts: Facts = {}): string {
    const key = [kind, facts.digest ?? facts.path ?? facts.image ?? message].join(" ");
    const known = this.#all.get(key);
    const severity = HARMLESS.has(kind) ? "note" : "error";
    // An image says more than a digest; the first that is known stays.
    const finding = { kind, severity, message, ...facts, ...known?.finding } as const;
    const image = known?.finding.image ?? facts.image;
    this.#all.set(key, {
      repaired: false,
      why: "",
      ...known,
      finding: { ...finding, ...(image !== undefined && { image }) },
    });
    return key;
  }

  repaired(key: string): void {
    const entry = this.#all.get(key);
    if (entry !== undefined) entry.repaired = true;
  }

  hasDigest(digest: Digest): boolean {
    return this.#all.values().some(({ finding }) => finding.digest === digest);
  }

  /** Why it could not be mended. */
  failed(key: string, why: string): void {
    const entry = this.#all.get(key);
    if (entry !== undefined) entry.why = why;
  }

  /** All that concerns a digest. */
  repairedDigest(digest: Digest): void {
    for (const entry of this.#all.values()) if (entry.finding.digest === digest) entry.repaired = true;
  }

  failedDigest(digest: Digest, why: string): void {
    for (const entry of this.#all.values()) if (entry.finding.digest === digest) entry.why = why;
  }

  /** Whether nothing is wrong, or all of it is mended. Leftovers do not count. */
  isSound(): boolean {
    return this.list().every(({ severity, repaired }) => severity === "note" || repaired === true);
  }

  list(): Finding[] {
    const list: Finding[] = [];
    for (const { finding, repaired, why } of this.#all.values()) {
      const message =
        repaired || why === "" || !this.#repair ? finding.message : `${finding.message}; not mended: ${why}`;
      list.push({ ...finding, message, ...(this.#repair && { repaired }) });
    }
    return list;
  }
}
