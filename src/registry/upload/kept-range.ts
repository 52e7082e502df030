/** What a registry says that it has of an upload: `Range: 0-<last>` (distribution-spec "Pushing a blob in chunks"). */
export interface Kept {
  /** Bytes, contiguous from the first. */
  readonly bytes: number;
  /** `0-0` is how nothing is written as well as one byte. */
  readonly vague: boolean;
}

/** Undefined for whatever does not say how much is there. */
export function parseKept(value: string | undefined): Kept | undefined {
  // Some write what follows from "nothing" to the letter.
  if (value === "0--1") return { bytes: 0, vague: false };
  const last = /^(?:bytes[= ])?0-(\d{1,15})$/.exec(value?.trim() ?? "")?.[1];
  return last === undefined ? undefined : { bytes: Number(last) + 1, vague: Number(last) === 0 };
}
