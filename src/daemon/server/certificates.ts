/** The daemon's certificate and the authorities of its clients', read again at each reload. */
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { ListenConfig } from "../config/types.ts";

export interface Certificates {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
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
    createSecureContext({ cert, key, ...(ca !== undefined && { ca }) });
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
    ...(ca !== undefined && { ca }),
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
