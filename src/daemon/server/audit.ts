/** Who changed what: a line for each request that changes something, in a file that is only added to. Without one the log's own line says as much. */
import { closeSync, constants, fchmodSync, openSync, writeSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { toVarveError } from "../../errors/from-system.ts";
import type { Log } from "../daemon.ts";
import { isReading, type Visit } from "./visit.ts";
import { shownPath } from "./shown-path.ts";
import { withoutSecrets } from "./log.ts";

export interface Audit extends Disposable {
  /** Of a request that was answered; those that only read are passed over. */
  record(visit: Visit, request: IncomingMessage, response: ServerResponse): void;
  /** Opens the file anew, also when it has moved, so that files can be rotated. @throws VarveError, and then the one before stays */
  reopen(path: string | null): void;
}

/** @param onFailure called for each line that could not be written. @throws VarveError when the file cannot be opened */
export function openAudit(path: string | null, log: Log, onFailure: () => void): Audit {
  let fd = open(path);
  const write = (line: object): void => {
    if (fd === undefined) return;
    try {
      // At once and in order: a line of a change that was made is not lost with the process.
      writeSync(fd, withoutSecrets(`${JSON.stringify({ time: new Date().toISOString(), ...line })}\n`));
    } catch (error) {
      onFailure();
      log.error({ ...line, code: toVarveError(error).code }, "this line could not be written to the audit log");
    }
  };
  return {
    record(visit, request, response) {
      if (isReading(request.method)) return;
      write(changeOf(visit, request, response));
    },
    reopen(next) {
      const opened = open(next);
      if (fd !== undefined) closeSync(fd);
      fd = opened;
    },
    [Symbol.dispose]() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}

/** What both say of a request that changes something. */
export function changeOf(visit: Visit, request: IncomingMessage, response: ServerResponse): object {
  const { id, caller, peer, subject } = visit;
  return {
    id,
    who: caller?.name ?? "nobody",
    how: caller?.how ?? "refused",
    ...(peer !== "" && { peer }),
    method: request.method,
    path: shownPath(request.url),
    ...(subject !== undefined && { subject }),
    // A client that went away before its answer has none.
    status: response.headersSent ? response.statusCode : 499,
  };
}

function open(path: string | null): number | undefined {
  if (path === null) return undefined;
  try {
    const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW } = constants;
    const fd = openSync(path, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
    // One that was there may have been made by somebody who knew less of what is in it.
    fchmodSync(fd, 0o600);
    return fd;
  } catch (error) {
    throw toVarveError(error, "the audit log");
  }
}
