/** `Range` as RFC 9110 §14 and the distribution conformance suite read it: clamped ends, suffixes, 416. */

/** Bytes `[start, end)`. */
export interface WantedRange {
  readonly start: number;
  readonly end: number;
}

/** As many as podman asks for at once, of layers of which it has parts. */
export const MAX_RANGES = 1024;

/**
 * The ranges of a blob that a header asks for; undefined: no (valid) Range, so the whole blob. An empty list: none can be satisfied, answer
 * 416. `500-0` counts as such, as the conformance suite wants. `too-many`: more than anybody needs.
 */
export function parseRange(header: string | undefined, size: number): WantedRange[] | "too-many" | undefined {
  if (header === undefined || !/^bytes=/i.test(header)) return undefined;
  const specs = header.slice("bytes=".length).split(",", MAX_RANGES + 1);
  if (specs.length > MAX_RANGES) return "too-many";
  const ranges: WantedRange[] = [];
  for (const spec of specs) {
    const match = /^[ \t]*(\d{0,16})-(\d{0,16})[ \t]*$/.exec(spec);
    if (match === null || (match[1] === "" && match[2] === "")) return undefined;
    const range = resolveSpec(match[1] ?? "", match[2] ?? "", size);
    if (range !== undefined) ranges.push(range);
  }
  // Overlapping ranges would have a few bytes of a header fetch many times the blob.
  const total = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  return ranges.length > 1 && total > size ? undefined : ranges;
}

export function contentRange({ start, end }: WantedRange, size: number): string {
  return `bytes ${start}-${end - 1}/${size}`;
}

function resolveSpec(first: string, last: string, size: number): WantedRange | undefined {
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? undefined : { start: size - length, end: size };
  }
  const start = Number(first);
  const end = last === "" ? size : Math.min(Number(last) + 1, size);
  return start >= end ? undefined : { start, end };
}
