/** Tells that the client has gone before it had its answer. */
import type { ServerResponse } from "node:http";
import { VarveError } from "../../errors/varve-error.ts";

export function goneSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  const tell = (): void => {
    if (!response.writableFinished) gone.abort(new VarveError("INTERRUPTED", "the client has gone"));
  };
  if (response.destroyed) tell();
  else response.once("close", tell);
  return gone.signal;
}
