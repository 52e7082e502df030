/** The daemon's certificate and the authorities of its clients', read again at each reload. */
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { createSecureContext, type TLSSocket } from "node:tls";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { ListenConfig } from "../config/types.ts";

export interface Certificates {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Always said: without, a server takes all that the system's own authorities vouch for. */
  readonly ca: readonly Buffer[];
  readonly requestCert: boolean;
  /** Never: who has no certificate may have a token, and is answered why not otherwise. */
  readonly rejectUnauthorized: false;
  readonly minVersion: "TLSv1.2";
}

/** @throws VarveError `CONFIGURATION_INVALID`, `FILE_NOT_FOUND`, `PERMISSION` */
export async function readCertificates(tls: ListenConfig["tls"]): Promise<Certificates | undefined> {
  if (tls === null) return undefined;
  const { certFile, keyFile, clientCaFile } = tls;
  const [cert, key] = await Promise.all([read(certFile, "the certificate"), read(keyFile, "the certificate's key")]);
  const ca = clientCaFile === null ? undefined : await read(clientCaFile, "the authorities of clients");
  try {
    // It says what is wrong with them; a server would say so to its clients only.
    createSecureContext({ cert, key, ca: ca ?? [] });
  } catch (cause) {
    const message = `${certFile} and ${keyFile}${clientCaFile === null ? "" : ` or ${clientCaFile}`} cannot be used for TLS: ${(cause as Error).message}`;
    throw new VarveError("CONFIGURATION_INVALID", message, {
      cause,
      hint: "give PEM files of a certificate and of its key",
    });
  }
  return {
    cert,
    key,
    ca: ca === undefined ? [] : [ca],
    requestCert: ca !== undefined,
    rejectUnauthorized: false,
    minVersion: "TLSv1.2",
  };
}

async function read(path: string, what: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw toVarveError(error, what);
  }
}

/** The authorities by which a connection's certificate was judged when it was made. */
const judges = new WeakMap<Socket, Buffer>();

export function noteHandshake(socket: Socket, { ca: [authorities] }: Certificates): void {
  if (authorities !== undefined) judges.set(socket, authorities);
}

/**
 * The subject of the certificate that a client has shown, if the authorities that are now in force vouch for it. Those that were when it
 * connected are not enough: a connection can be kept for long after they were taken away.
 */
export function clientName(socket: Socket, certificates: Certificates | undefined): string | undefined {
  const { authorized, getPeerCertificate } = socket as Partial<TLSSocket>;
  const [authorities] = certificates?.ca ?? [];
  if (authorized !== true || getPeerCertificate === undefined || authorities === undefined) return undefined;
  if (judges.get(socket)?.equals(authorities) !== true) return undefined;
  const { subject } = getPeerCertificate.call(socket);
  return String(subject?.CN ?? "certificate").slice(0, 100);
}
