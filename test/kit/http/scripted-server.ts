/** An HTTP server whose answers a test writes by hand, for misbehaviour that no registry has a switch for. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import { listen } from "../net/listen.ts";

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface ScriptedServer extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly seen: readonly SeenRequest[];
  close(): Promise<void>;
}

export type Script = (request: SeenRequest, response: ServerResponse, nth: number) => unknown;

/** @param script Answers the nth (from 0) request; what it throws becomes a reset. */
export async function scriptedServer(script: Script, tls?: ServerOptions): Promise<ScriptedServer> {
  const seen: SeenRequest[] = [];
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const entry = { method, url, headers, body: Buffer.concat(chunks).toString("utf8") };
      const nth = seen.push(entry) - 1;
      Promise.resolve()
        .then(() => script(entry, response, nth))
        .catch(() => response.destroy());
    });
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  server.requestTimeout = 0;
  const listening = await listen(server);
  const { host, port } = listening;
  const close = (): Promise<void> => listening.close();
  const url = `${tls === undefined ? "http" : "https"}://${host}`;
  return { host, port, url, seen, close, [Symbol.asyncDispose]: close };
}
