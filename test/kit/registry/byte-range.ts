/** `Range` as RFC 9110 §14 and the distribution conformance suite read it: clamped ends, suffixes, 416. */
export interface ServedRange {
  readonly start: number;
  /** Inclusive. */
  readonly end: number;
}

/**
 * The ranges of a blob that a header asks for; undefined: no (valid) Range, so the whole blob.
 * An empty list: none can be satisfied, answer 416. `500-0` counts as such, as the conformance suite wants.
 */
export function parseRange(header: string | undefined, size: number): ServedRange[] | undefined {
  if (header === undefined || !header.startsWith("bytes=")) return undefined;
  const ranges: ServedRange[] = [];
  for (const spec of header.slice("bytes=".length).split(",")) {
    const match = /^\s*(\d*)-(\d*)\s*$/.exec(spec);
    if (match === null || (match[1] === "" && match[2] === "")) return undefined;
    const range = resolveSpec(match[1] ?? "", match[2] ?? "", size);
    if (range !== undefined) ranges.push(range);
  }
  return ranges;
}

export function contentRange(range: ServedRange, size: number): string {
  return `bytes ${range.start}-${range.end}/${size}`;
}

function resolveSpec(first: string, last: string, size: number): ServedRange | undefined {
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? undefined : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  return start > end ? undefined : { start, end };
}
