/**
 * The page at `/`, for browsers. Its files may be read by anybody who reaches the daemon; what it shows comes from `/v1` and needs what that
 * needs. Nothing but the daemon's own files may run in it, whatever an image or a registry is called.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { VarveError } from "../../errors/varve-error.ts";
import { PAGE_FOLDER } from "./page-folder.ts";
import { readPage, type PageFile } from "./page-files.ts";

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "form-action 'self'",
].join("; ");

const HEADERS = {
  "content-security-policy": POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  vary: "accept-encoding",
};

export interface PageOptions {
  /** Absolute. Default: where this varve has its page. */
  readonly folder?: string;
}

/** A plugin of fastify: `/` and `/assets/...`, GET and HEAD. */
export async function pageRoutes(server: FastifyInstance, { folder = PAGE_FOLDER }: PageOptions = {}): Promise<void> {
  const files = await readPage(folder);
  server.get("/", (request, reply) => (files === undefined ? sendNotBuilt(reply) : send(request, reply, files, "/")));
  server.get("/assets/*", (request, reply) => {
    const [path = ""] = request.url.split("?", 1);
    return send(request, reply, files ?? new Map(), path);
  });
}

function send(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  files: ReadonlyMap<string, PageFile>,
  path: string,
): FastifyReply {
  const file = files.get(path);
  void reply.headers(HEADERS);
  if (file === undefined) return sendText(reply, 404, "there is no such file\n");
  const isGzipped = file.gzipped !== undefined && takesGzip(headers["accept-encoding"]);
  const tag = isGzipped ? `"${file.tag}-gzip"` : `"${file.tag}"`;
  void reply
    .header("etag", tag)
    .header("cache-control", file.isImmutable ? "public, max-age=31536000, immutable" : "no-cache");
  if (isKnown(headers["if-none-match"], tag)) return reply.code(304).send();
  if (isGzipped) void reply.header("content-encoding", "gzip");
  return reply.type(file.contentType).send(isGzipped ? file.gzipped : file.bytes);
}

/** The checkout of somebody who has not built it; the package always has it. */
function sendNotBuilt(reply: FastifyReply): FastifyReply {
  const { code, message, hint } = new VarveError("PAGE_NOT_BUILT", "the page of this checkout is not built");
  return sendText(reply.headers(HEADERS), 404, `${code}: ${message}\n${hint}\n`);
}

function sendText(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply.code(status).header("cache-control", "no-store").type("text/plain; charset=utf-8").send(text);
}

/** RFC 9110 §12.5.3, as far as browsers and command line clients go. */
function takesGzip(acceptEncoding: string | string[] | undefined): boolean {
  return String(acceptEncoding ?? "")
    .split(",")
    .some((coding) => /^\s*(gzip|\*)\s*(;\s*q\s*=\s*(?!0(\.0*)?\s*$).*)?$/i.test(coding));
}

/** RFC 9110 §13.1.2: weak comparison. */
function isKnown(ifNoneMatch: string | undefined, tag: string): boolean {
  return (ifNoneMatch ?? "")
    .split(",")
    .map((entry) => entry.trim().replace(/^W\//, ""))
    .some((entry) => entry === "*" || entry === tag);
}
