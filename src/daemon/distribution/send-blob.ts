/** Sends a blob: whole, one range, several ranges, 416, 304. From its file when it is whole here, else as its bytes come in. */
import { randomBytes } from "node:crypto";
import { contentRange, MAX_RANGES, parseRange, type WantedRange } from "./byte-range.ts";
import { answer, writeHead, type Exchange, type Headers } from "./exchange.ts";
import { Outlet } from "./outlet.ts";
import { RegistryError } from "./registry-error.ts";
import { openToSend, sendRange } from "./send-file.ts";
import type { ServedBlob } from "./types.ts";

const TYPE = "application/octet-stream";

/** A range, and what goes ahead of it: a delimiter and header of multipart/byteranges. */
interface Part {
  readonly before?: string;
  readonly range?: WantedRange;
}

interface Answer {
  readonly status: 200 | 206;
  readonly headers: Headers;
  readonly parts: readonly Part[];
}

export async function sendBlob(exchange: Exchange, blob: ServedBlob): Promise<void> {
  const { request } = exchange;
  const etag = `"${blob.digest}"`;
  const headers = { "docker-content-digest": blob.digest, etag, "content-type": TYPE, "accept-ranges": "bytes" };
  if (request.headers["if-none-match"]?.includes(etag) === true) return answer(exchange, 304, headers);
  const ranges = wantedRanges(exchange, blob, etag);
  if (ranges?.length === 0) {
    return answer(exchange, 416, { ...headers, "content-range": `bytes */${blob.size}` });
  }
  const { status, headers: more, parts } = shapeOf(ranges, blob.size);
  const head = { ...headers, ...more };
  if (exchange.method === "HEAD") {
    writeHead(exchange, status, head);
    exchange.response.end();
    return;
  }
  if (blob.path === undefined) await sendArriving(exchange, blob, parts, () => writeHead(exchange, status, head));
  else await sendFile(exchange, blob.path, parts, () => writeHead(exchange, status, head));
}

function wantedRanges(exchange: Exchange, blob: ServedBlob, etag: string): WantedRange[] | undefined {
  const { headers } = exchange.request;
  if (exchange.method !== "GET") return undefined;
  if (headers["if-range"] !== undefined && headers["if-range"] !== etag) return undefined;
  const ranges = parseRange(headers.range, blob.size);
  // podman asks for half as many then.
  if (ranges === "too-many") throw new RegistryError(400, "UNSUPPORTED", `more than ${MAX_RANGES} ranges`);
  return ranges;
}

function shapeOf(ranges: readonly WantedRange[] | undefined, size: number): Answer {
  if (ranges === undefined) {
    const parts = size === 0 ? [] : [{ range: { start: 0, end: size } }];
    return { status: 200, headers: { "content-length": size }, parts };
  }
  const [only, ...more] = ranges;
  if (only !== undefined && more.length === 0) {
    const headers = { "content-range": contentRange(only, size), "content-length": only.end - only.start };
    return { status: 206, headers, parts: [{ range: only }] };
  }
  const boundary = randomBytes(12).toString("hex");
  const parts = multipart(ranges, size, boundary);
  const length = parts.reduce((sum, { before = "", range }) => sum + before.length + lengthOf(range), 0);
  const type = `multipart/byteranges; boundary=${boundary}`;
  return { status: 206, headers: { "content-type": type, "content-length": length }, parts };
}

function lengthOf(range: WantedRange | undefined): number {
  return range === undefined ? 0 : range.end - range.start;
}

/** One part for each range and in their order, which is what podman relies on. */
function multipart(ranges: readonly WantedRange[], size: number, boundary: string): Part[] {
  const parts = ranges.map((range, index) => {
    const head = `content-type: ${TYPE}\r\ncontent-range: ${contentRange(range, size)}`;
    return { before: `${index === 0 ? "" : "\r\n"}--${boundary}\r\n${head}\r\n\r\n`, range };
  });
  return [...parts, { before: `\r\n--${boundary}--\r\n` }];
}

async function sendFile(exchange: Exchange, path: string, parts: readonly Part[], head: () => void): Promise<void> {
  const { asked, options, response } = exchange;
  await using file = await openToSend(path);
  head();
  for (const { before, range } of parts) {
    if (response.destroyed) return;
    if (before !== undefined) response.write(before);
    if (range === undefined) continue;
    const sent = await sendRange(response, file, range, asked.signal);
    options.served?.(sent);
  }
  if (!response.destroyed) response.end();
}

/** The head waits for the first bytes: until then what goes wrong can be told in it, and clients try elsewhere. */
async function sendArriving(
  exchange: Exchange,
  blob: ServedBlob,
  parts: readonly Part[],
  head: () => void,
): Promise<void> {
  const { asked, options, response } = exchange;
  const body = bodyOf(blob, parts, asked.signal);
  let next = await body.next();
  head();
  using outlet = new Outlet(response, asked.signal);
  try {
    for (; next.done !== true; next = await body.next()) {
      if (!(await outlet.write(next.value))) return;
      options.served?.(next.value.length);
    }
    response.end();
  } finally {
    await body.return(undefined);
  }
}

async function* bodyOf(blob: ServedBlob, parts: readonly Part[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (const { before, range } of parts) {
    // Together with what comes after it: a delimiter alone is no sign that the range will come.
    let ahead = before === undefined ? undefined : Buffer.from(before, "latin1");
    if (range !== undefined) {
      for await (const chunk of blob.read(range.start, range.end, signal)) {
        if (ahead !== undefined) yield ahead;
        ahead = undefined;
        yield chunk;
      }
    }
    if (ahead !== undefined) yield ahead;
  }
}
