/** Sends a file's bytes as a blob: whole, one range, several ranges, 416, 304; streaming, whatever its size. */
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { contentRange, parseRange, type ServedRange } from "./byte-range.ts";
import type { RegistryQuirks } from "./quirks.ts";

const TYPE = "application/octet-stream";
const READ_SIZE = 256 * 1024;

export interface BlobToSend {
  readonly path: string;
  readonly size: number;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
}

export async function sendBlob(
  request: IncomingMessage,
  response: ServerResponse,
  blob: BlobToSend,
  quirks: RegistryQuirks,
): Promise<void> {
  const { size } = blob;
  const headers = { ...blob.headers, ...(quirks.etag === true && { etag: blob.etag }), "content-type": TYPE };
  if (quirks.etag === true && request.headers["if-none-match"] === blob.etag) {
    response.writeHead(304, headers).end();
    return;
  }
  const ranges = wantedRanges(request, blob, quirks);
  const accept = quirks.ranges === "ignore" ? {} : { "accept-ranges": "bytes" };
  if (ranges === undefined) {
    const length = quirks.blobsWithoutLength === true && request.method === "GET" ? {} : { "content-length": size };
    response.writeHead(200, { ...headers, ...accept, ...length });
    return sendRanges(request, response, blob.path, size === 0 ? [] : [{ range: { start: 0, end: size - 1 } }]);
  }
  const [first, ...more] = ranges;
  if (first === undefined) {
    response.writeHead(416, { ...blob.headers, "content-range": `bytes */${size}`, "content-length": 0 }).end();
    return;
  }
  if (more.length === 0) {
    const length = { "content-range": contentRange(first, size), "content-length": first.end - first.start + 1 };
    response.writeHead(206, { ...headers, ...accept, ...length });
    return sendRanges(request, response, blob.path, [{ range: first }]);
  }
  if (typeof quirks.multiRange === "number") {
    response.writeHead(quirks.multiRange, { "content-length": 0 }).end();
    return;
  }
  const boundary = randomBytes(12).toString("hex");
  const parts = multipart(ranges, size, boundary);
  const length = parts.reduce((sum, part) => sum + (part.before?.length ?? 0) + bytesIn(part.range), 0);
  const type = `multipart/byteranges; boundary=${boundary}`;
  response.writeHead(206, { ...headers, ...accept, "content-type": type, "content-length": length });
  return sendRanges(request, response, blob.path, parts);
}

function wantedRanges(request: IncomingMessage, blob: BlobToSend, quirks: RegistryQuirks): ServedRange[] | undefined {
  if (quirks.ranges === "ignore" || request.method !== "GET") return undefined;
  const condition = request.headers["if-range"];
  if (condition !== undefined && condition !== blob.etag) return undefined;
  const ranges = parseRange(request.headers.range, blob.size);
  return ranges !== undefined && ranges.length > 1 && quirks.multiRange === "whole" ? undefined : ranges;
}

interface Part {
  /** Sent ahead of the range: a multipart delimiter and header. */
  readonly before?: string;
  readonly range?: ServedRange;
}

function bytesIn(range: ServedRange | undefined): number {
  return range === undefined ? 0 : range.end - range.start + 1;
}

function multipart(ranges: readonly ServedRange[], size: number, boundary: string): Part[] {
  const parts = ranges.map((range, index) => {
    const head = `content-type: ${TYPE}\r\ncontent-range: ${contentRange(range, size)}`;
    return { before: `${index === 0 ? "" : "\r\n"}--${boundary}\r\n${head}\r\n\r\n`, range };
  });
  return [...parts, { before: `\r\n--${boundary}--\r\n` }];
}

async function sendRanges(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  parts: readonly Part[],
): Promise<void> {
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  await pipeline(async function* () {
    for (const { before, range } of parts) {
      if (before !== undefined) yield before;
      if (range !== undefined) yield* createReadStream(path, { ...range, highWaterMark: READ_SIZE });
    }
  }, response);
}
