/** Asks for a blob in one of the ways that clients do, and holds what comes to the bytes that it must be. */
import { digestOf } from "../../../src/oci/digest.ts";
import type { Rng } from "../../kit/images/rng.ts";
import type { Answer } from "./ask.ts";
import { asked, type Client } from "./client.ts";

interface Blob {
  readonly path: string;
  readonly digest: string;
  readonly bytes: Buffer;
}

/** Inclusive, as Range has it. */
type Range = readonly [first: number, last: number];

/** @throws Error when a whole answer is not the blob's bytes */
export async function readBlob(client: Client, blob: Blob, upstream: boolean): Promise<void> {
  const { rng } = client;
  const { path, bytes } = blob;
  // Nothing has no ranges.
  const draw = bytes.length === 0 ? 8 : rng.int(10);
  if (draw < 2) return readHead(client, blob, upstream);
  if (draw < 5) return readRanges(client, blob, upstream);
  const leaves = draw === 9;
  const question = { method: "GET", path, ...(leaves && { leaveAfter: 1 + rng.int(bytes.length) }) };
  const answer = await asked(client, question, { statuses: [200], upstream });
  if (answer !== undefined) mustEqual(answer.bytes, bytes, path);
}

async function readHead(client: Client, { path, bytes, digest }: Blob, upstream: boolean): Promise<void> {
  const answer = await asked(client, { method: "HEAD", path }, { statuses: [200], upstream });
  if (answer === undefined) return;
  const { "content-length": length, "docker-content-digest": told } = answer.headers;
  if (length !== String(bytes.length) || told !== digest || answer.bytes.length > 0) {
    throw new Error(`HEAD ${path} says ${length}, ${String(told)}`);
  }
}

async function readRanges(client: Client, { path, bytes }: Blob, upstream: boolean): Promise<void> {
  const { header, ranges } = drawRanges(client.rng, bytes.length);
  const question = { method: "GET", path, headers: { range: header } };
  const answer = await asked(client, question, { statuses: ranges.length === 0 ? [416] : [200, 206], upstream });
  if (answer === undefined || answer.status === 416) return;
  const what = `${path} ${header}`;
  if (answer.status === 200) {
    if (ranges.length === 1) throw new Error(`${what} answered all of it`);
    return mustEqual(answer.bytes, bytes, what);
  }
  const parts = ranges.length === 1 ? [onlyPart(answer)] : multipartOf(answer);
  if (parts.length !== ranges.length) throw new Error(`${what} answered ${parts.length} parts`);
  for (const [index, [first, last]] of ranges.entries()) {
    const part = parts[index]!;
    if (part.range !== `bytes ${first}-${last}/${bytes.length}`) throw new Error(`${what} answered ${part.range}`);
    mustEqual(part.bytes, bytes.subarray(first, last + 1), what);
  }
}

/** A header, and the ranges of it that there are. */
function drawRanges(rng: Rng, size: number): { readonly header: string; readonly ranges: readonly Range[] } {
  const specs = Array.from({ length: rng.chance(0.3) ? rng.between(2, 5) : 1 }, () => drawRange(rng, size));
  const ranges = specs.flatMap(({ range }) => (range === undefined ? [] : [range]));
  return { header: `bytes=${specs.map(({ spec }) => spec).join(rng.pick([",", ", "]))}`, ranges };
}

function drawRange(rng: Rng, size: number): { readonly spec: string; readonly range: Range | undefined } {
  const first = rng.int(size);
  switch (rng.int(5)) {
    case 0:
      return { spec: `${first}-`, range: [first, size - 1] };
    case 1: {
      const count = 1 + rng.int(size * 2);
      return { spec: `-${count}`, range: [Math.max(0, size - count), size - 1] };
    }
    case 2:
      return { spec: `${first}-${size + rng.int(1000)}`, range: [first, size - 1] };
    case 3:
      return rng.chance(0.3) ? { spec: `${size}-${size + 9}`, range: undefined } : { spec: "0-0", range: [0, 0] };
    default: {
      const last = first + rng.int(size - first);
      return { spec: `${first}-${last}`, range: [first, last] };
    }
  }
}

interface Part {
  readonly range: string | undefined;
  readonly bytes: Buffer;
}

function onlyPart({ headers, bytes }: Answer): Part {
  return { range: headers["content-range"], bytes };
}

/** RFC 9110, section 14.6. */
function multipartOf({ headers, bytes }: Answer): Part[] {
  const boundary = /boundary="?([^";]+)"?/.exec(headers["content-type"] ?? "")?.[1];
  // One range alone may be left of several.
  if (boundary === undefined) return [{ range: headers["content-range"], bytes }];
  const parts: Part[] = [];
  for (let at = 0; ;) {
    const begin = bytes.indexOf(`--${boundary}\r\n`, at);
    if (begin < 0) return parts;
    const headEnd = bytes.indexOf("\r\n\r\n", begin);
    const head = bytes.toString("latin1", begin, headEnd);
    const range = /content-range:\s*(.*)/i.exec(head)?.[1];
    const [, first = "0", last = "0"] = /bytes (\d+)-(\d+)/.exec(range ?? "") ?? [];
    const end = headEnd + 4 + Number(last) - Number(first) + 1;
    parts.push({ range, bytes: bytes.subarray(headEnd + 4, end) });
    at = end;
  }
}

export function mustEqual(actual: Buffer, wanted: Buffer, what: string): void {
  if (actual.equals(wanted)) return;
  throw new Error(
    `${what}: ${actual.length} bytes ${digestOf(actual)}, not ${wanted.length} bytes ${digestOf(wanted)}`,
  );
}
