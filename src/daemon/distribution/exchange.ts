/** One request of `/v2/` on its way through the handlers, and the few ways in which they answer. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { finished } from "node:stream/promises";
import type { RegistryOptions } from "./options.ts";
import { RegistryError, type RegistryCode } from "./registry-error.ts";
import type { Route } from "./routes.ts";
import type { Asked } from "./types.ts";

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly route: Route;
  readonly query: URLSearchParams;
  readonly asked: Asked;
  readonly options: RegistryOptions;
}

export type Headers = Readonly<Record<string, string | number | readonly string[]>>;

/** Sends the head: what every answer has comes from here. */
export function writeHead(exchange: Exchange, status: number, headers: Headers): void {
  const { asked, options, response } = exchange;
  const common: Headers = {
    // Nothing that others have pushed is to be taken for a page of this host.
    "x-content-type-options": "nosniff",
    ...(asked.namespace !== undefined && { "oci-namespace": asked.namespace }),
  };
  const head = { status, headers: { ...common, ...headers } };
  const sent = options.hooks?.head?.(exchange, head) ?? head;
  response.writeHead(sent.status, sent.headers as Record<string, string>);
}

/** An answer without a body, or with a body that is in memory. A HEAD gets the same head and no body. */
export function answer(exchange: Exchange, status: number, headers: Headers = {}, body?: Uint8Array | string): void {
  const length = body === undefined ? 0 : Buffer.byteLength(body);
  const lengthHeader = status === 204 || status === 304 ? {} : { "content-length": length };
  writeHead(exchange, status, { ...lengthHeader, ...headers });
  if (exchange.method === "HEAD" || body === undefined) exchange.response.end();
  else exchange.response.end(body);
}

export function answerJson(exchange: Exchange, status: number, value: unknown, headers: Headers = {}): void {
  answer(exchange, status, { "content-type": "application/json", ...headers }, JSON.stringify(value));
}

/** @throws RegistryError 405 unless the method is one of these */
export function allowMethods(exchange: Exchange, ...methods: readonly string[]): void {
  if (methods.includes(exchange.method)) return;
  throw new RegistryError(405, "UNSUPPORTED", `${exchange.method} is not supported here`, {
    allow: methods.join(", "),
  });
}

/** A request's body, all of it in memory. @throws RegistryError 413 above the limit */
export async function readBody(request: IncomingMessage, limit: number, code: RegistryCode): Promise<Buffer> {
  const tooLarge = (): RegistryError => new RegistryError(413, code, `more than ${limit} bytes`);
  // Twice as much is not read to its end, so that the refusal costs no more than what it refuses.
  if (Number(request.headers["content-length"] ?? 0) > limit * READ_OVER) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  // What is a little too much is read all the same: leaving it unread may break the connection before the answer is seen.
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= limit) chunks.push(chunk);
    else if (size > limit * READ_OVER) request.destroy();
  });
  await finished(request);
  if (size > limit) throw tooLarge();
  return Buffer.concat(chunks);
}

const READ_OVER = 2;
