/** Passes a request on to the registry and its answer back, spoiling both as the faults say. */
import { once } from "node:events";
import { request as httpRequest, type Agent, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { findFault, type Fault } from "./fault.ts";
import { spoilBody, spoiltLength } from "./spoil-body.ts";

export interface ForwardOptions {
  readonly target: string;
  readonly agent: Agent;
  readonly faults: readonly Fault[];
}

export async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  options: ForwardOptions,
): Promise<void> {
  const { faults } = options;
  const abort = new AbortController();
  response.once("close", () => abort.abort());
  const answer = await ask(request, options, abort.signal);
  if (answer === undefined || findFault(faults, "loseAnswer") !== undefined) {
    answer?.resume();
    request.socket.resetAndDestroy();
    return;
  }
  response.writeHead(answer.statusCode ?? 502, spoiltHeaders(request, answer, faults));
  const body = spoilBody(answer as AsyncIterable<Uint8Array>, faults, abort.signal);
  for await (const chunk of body.bytes) {
    if (response.destroyed) return;
    if (!response.write(chunk)) await once(response, "drain", { signal: abort.signal });
  }
  await finish(request, response, body.ending(), abort.signal);
}

/** The registry's answer, or undefined when the upload was broken off on purpose. */
async function ask(
  request: IncomingMessage,
  { target, agent, faults }: ForwardOptions,
  signal: AbortSignal,
): Promise<IncomingMessage | undefined> {
  const headers = { ...request.headers };
  delete headers.connection;
  if (findFault(faults, "ignoreRange") !== undefined) delete headers.range;
  const { method, url: path } = request;
  const [hostname, port] = target.split(":");
  const upstream = httpRequest({ hostname, port, method, path, headers, agent, signal });
  // Listened to from the start: the registry may answer before it has read all of the body.
  const answered = once(upstream, "response") as Promise<[IncomingMessage]>;
  answered.catch(() => undefined);
  const cut = findFault(faults, "dropUpload");
  if (cut !== undefined) {
    await pipeline(Readable.from(firstBytes(request, cut.afterBytes)), upstream, { end: false });
    upstream.destroy();
    return undefined;
  }
  // A registry that refuses early may close its side while the body is still coming; its answer is what counts.
  const sent = pipeline(request, upstream).catch(() => undefined);
  const [answer] = await answered;
  void sent;
  return answer;
}

async function* firstBytes(source: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<Uint8Array> {
  let left = limit;
  if (left === 0) return;
  for await (const chunk of source) {
    yield chunk.subarray(0, left);
    left -= chunk.length;
    if (left <= 0) return;
  }
}

function spoiltHeaders(
  request: IncomingMessage,
  answer: IncomingMessage,
  faults: readonly Fault[],
): Record<string, string | string[] | undefined> {
  const headers: Record<string, string | string[] | undefined> = { ...answer.headers };
  delete headers["connection"];
  delete headers["keep-alive"];
  delete headers["transfer-encoding"];
  const length = headers["content-length"];
  if (length !== undefined && request.method !== "HEAD") {
    headers["content-length"] = String(spoiltLength(Number(length), faults));
  }
  if (findFault(faults, "chunked") !== undefined) delete headers["content-length"];
  const contentRange = findFault(faults, "contentRange");
  if (contentRange !== undefined) headers["content-range"] = contentRange.value;
  for (const [name, value] of Object.entries(findFault(faults, "headers")?.headers ?? {})) {
    headers[name.toLowerCase()] = value;
  }
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
}

async function finish(
  request: IncomingMessage,
  response: ServerResponse,
  ending: "complete" | "close" | "reset" | "stall",
  signal: AbortSignal,
): Promise<void> {
  switch (ending) {
    case "complete":
      response.end();
      return;
    case "stall":
      response.flushHeaders();
      if (!signal.aborted) await once(signal, "abort");
      return;
    case "close":
      response.flushHeaders();
      // The bytes before the end are delivered, then the stream ends: "socket" and not "response", which would
      // put a proper end to a chunked body.
      request.socket.end();
      return;
    case "reset":
      response.flushHeaders();
      await written(response);
      request.socket.resetAndDestroy();
  }
}

/** All that was written so far has been handed to the kernel. */
async function written(response: ServerResponse): Promise<void> {
  if (response.writableLength > 0) await new Promise<void>((resolve) => response.write("", () => resolve()));
}
