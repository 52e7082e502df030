/** What every handler of the kit's registry gets, and the few ways in which they answer. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { finished } from "node:stream/promises";
import type { RegistryDisk } from "./disk.ts";
import type { RegistryQuirks } from "./quirks.ts";
import { RegistryError } from "./registry-error.ts";
import type { BlobOrigin } from "./blob-origin.ts";

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly query: URLSearchParams;
  /** `http://host:port` as the client addressed it. */
  readonly origin: string;
  readonly disk: RegistryDisk;
  readonly quirks: RegistryQuirks;
  /** The second origin, when blobs are redirected. */
  readonly blobOrigin: BlobOrigin | undefined;
  /** `http://host:port` of the second origin for uploads. */
  readonly uploadOrigin: string;
  /** Whether the client's credentials also allow to pull from another repository (mounts). */
  readonly mayPull: (name: string) => boolean;
}

export type Headers = Record<string, string | number | readonly string[]>;

/** An answer without a body, or with a body that is in memory. A HEAD gets the same head and no body. */
export function answer(exchange: Exchange, status: number, headers: Headers = {}, body?: Uint8Array | string): void {
  const length = body === undefined ? 0 : Buffer.byteLength(body);
  const lengthHeader = status === 204 || status === 304 ? {} : { "content-length": length };
  exchange.response.writeHead(status, { ...lengthHeader, ...headers } as Record<string, string>);
  if (exchange.method === "HEAD" || body === undefined) exchange.response.end();
  else exchange.response.end(body);
}

export function answerJson(exchange: Exchange, status: number, value: unknown, headers: Headers = {}): void {
  answer(exchange, status, { "content-type": "application/json", ...headers }, JSON.stringify(value));
}

/** @throws RegistryError 405 unless the method is one of these */
export function allowMethods(exchange: Exchange, ...methods: readonly string[]): void {
  if (!methods.includes(exchange.method)) {
    throw new RegistryError(405, "UNSUPPORTED", `${exchange.method} is not supported here`, {
      allow: methods.join(", "),
    });
  }
}

/** A request's body, all of it in memory. @throws RegistryError 413 above the limit */
export async function readBody(request: IncomingMessage, limit: number, code: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  // What is too much is read all the same: leaving it unread would break the connection before the answer is seen.
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= limit) chunks.push(chunk);
  });
  await finished(request);
  if (size > limit) throw new RegistryError(413, code, `more than ${limit} bytes`);
  return Buffer.concat(chunks);
}
