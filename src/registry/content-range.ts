/** `Content-Range`, RFC 9110 §14.4: `bytes 0-99/1000`, `bytes 0-99/*`, or a star for both numbers when unsatisfied. */
export interface ContentRange {
  /** Absent in the unsatisfied form. */
  readonly start?: number;
  /** Exclusive; absent in the unsatisfied form. */
  readonly end?: number;
  /** Absent when the server does not say. */
  readonly size?: number;
}

/** Undefined for anything that is not exactly one of the forms, or whose numbers contradict each other. */
export function parseContentRange(value: string | undefined): ContentRange | undefined {
  const match = /^bytes (?:(\d{1,15})-(\d{1,15})|\*)\/(\d{1,15}|\*)$/i.exec(value?.trim() ?? "");
  if (match === null) return undefined;
  const size = match[3] === "*" ? {} : { size: Number(match[3]) };
  if (match[1] === undefined) return size;
  const start = Number(match[1]);
  const end = Number(match[2]) + 1;
  if (end <= start || (size.size !== undefined && end > size.size)) return undefined;
  return { start, end, ...size };
}
