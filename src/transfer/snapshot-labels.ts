/** The labels that varve itself gives to snapshots. */
import { readFileSync } from "node:fs";
import type { FieldPath } from "../store/snapshot-record.ts";
import type { Labels } from "../store/snapshot-row.ts";

/** The image that a snapshot stands on, by name or digest. */
export const IMAGE_LABEL = "varve/image";
const MOUNTED_AT = "varve/mounted-at";
/** What the kernel tells of that mount, see mounted.ts. */
const MARK = "varve/mounted-as";
/** Of the machine's run in which it was mounted: no mount survives it. */
const BOOT = "varve/mounted-in-boot";
const OWN_KEY = "varve/made-for-mount";

export const LABELS = {
  /** At which directory it is mounted. */
  mountedAt: (directory: string, mark = ""): Labels => ({
    [MOUNTED_AT]: directory,
    ...(mark !== "" && { [MARK]: mark }),
  }),
  placeOf: (labels: Labels): string | undefined => valueOf(labels, MOUNTED_AT),
  markOf: (labels: Labels): string | undefined => valueOf(labels, MARK),
  /** What is forgotten of a mount that has ended, and known of one that has begun. */
  pathsOfMount: [`labels.${MOUNTED_AT}`, `labels.${MARK}`] as readonly FieldPath[],
  pathOfBoot: `labels.${BOOT}` as FieldPath,
  /** The image that it stands on. */
  image: (name: string): Labels => ({ [IMAGE_LABEL]: name }),
  /** Nobody has named it: it goes with its mount. */
  ownKey: (): Labels => ({ [OWN_KEY]: "yes", [BOOT]: bootId() }),
  isOwnKey: (labels: Labels): boolean => Object.hasOwn(labels, OWN_KEY),
  isOfOlderBoot: (labels: Labels): boolean => Object.hasOwn(labels, BOOT) && labels[BOOT] !== bootId(),
};

function valueOf(labels: Labels, name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined;
}

/** Empty where the kernel does not tell. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "";
  }
}
