/** Who may pass: a Unix socket by its file's mode, on TCP a token or a client's certificate, or everybody where that was asked for. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { VarveError } from "../../errors/varve-error.ts";
import { peerUser } from "../../sys/peer-user.ts";
import { clientName, type Certificates } from "./certificates.ts";
import type { Tokens } from "./tokens.ts";
import { isRegistryPath, type Caller, type Visit } from "./visit.ts";

export interface Keys {
  readonly tokens: Tokens | undefined;
  readonly certificates: Certificates | undefined;
}

/**
 * The token is taken out of the request: what handlers find as `Authorization` is meant for others.
 * @throws VarveError `UNAUTHORIZED`
 */
export function authenticate(request: IncomingMessage, visit: Visit, { tokens, certificates }: Keys): Caller {
  const certificate = clientName(request.socket, certificates);
  if (certificate !== undefined) return { how: "certificate", name: certificate };
  const given = tokenIn(request.headers.authorization);
  const label = given === undefined ? undefined : tokens?.find(given);
  if (label !== undefined) {
    delete request.headers.authorization;
    return { how: "token", name: label };
  }
  if (visit.entrance.kind === "socket") return { how: "socket", name: userAt(request.socket) };
  if (visit.entrance.isOpen) return { how: "none", name: visit.peer };
  throw new VarveError("UNAUTHORIZED", given === undefined ? "this needs a token" : "the daemon knows no such token", {
    hint: "send Authorization: Bearer TOKEN with a token of the daemon's file, or use its Unix socket",
  });
}

const users = new WeakMap<Socket, string>();

/** Of a connection to the Unix socket, for the audit log. */
function userAt(socket: Socket): string {
  const known = users.get(socket);
  if (known !== undefined) return known;
  const { fd } = (socket as { _handle?: { fd?: number } })._handle ?? {};
  const uid = fd === undefined || fd < 0 ? undefined : peerUser(fd);
  const name = uid === undefined ? "socket" : `uid ${uid}`;
  users.set(socket, name);
  return name;
}

/** What a client of this path is told to try: docker, podman and containerd know Basic, with the token as the password. */
export function challengeFor(path: string): Readonly<Record<string, string>> {
  return isRegistryPath(path)
    ? { "WWW-Authenticate": 'Basic realm="varve"', "Docker-Distribution-Api-Version": "registry/2.0" }
    : { "WWW-Authenticate": 'Bearer realm="varve"' };
}

/** Of `Bearer TOKEN`, or of Basic with any user (RFC 7617), of which the password is the token. */
function tokenIn(authorization: string | undefined): string | undefined {
  const [, scheme = "", value = ""] = /^(bearer|basic) +(\S+)$/i.exec(authorization ?? "") ?? [];
  if (scheme.toLowerCase() === "bearer") return value;
  if (scheme === "") return undefined;
  const pair = Buffer.from(value, "base64").toString("utf8");
  const colon = pair.indexOf(":");
  return colon === -1 ? undefined : pair.slice(colon + 1);
}
