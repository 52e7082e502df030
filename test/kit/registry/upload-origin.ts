/**
 * The second origin that a registry has blobs uploaded to, as an object store: it knows nothing of the registry's credentials, only
 * uploads by their names, and like S3 it answers 400 when an Authorization header comes along.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { listen } from "../net/listen.ts";
import { logRequest, type LoggedRequest } from "./request-log.ts";

export interface UploadOrigin extends AsyncDisposable {
  readonly host: string;
  readonly requests: readonly LoggedRequest[];
}

/** @param serve Answers a request for an upload. */
export async function startUploadOrigin(
  serve: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<UploadOrigin> {
  const requests: LoggedRequest[] = [];
  const server = createServer((request, response) => {
    logRequest(requests, request, response);
    if (request.headers.authorization === undefined) serve(request, response);
    else response.writeHead(400).end("Only one auth mechanism allowed");
  });
  server.requestTimeout = 0;
  const listening = await listen(server);
  return { host: listening.host, requests, [Symbol.asyncDispose]: () => listening.close() };
}
