/** `HOST:PORT` as the configuration has it, who may listen there, and the file that tells others. */
import { rename, rm, writeFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { ListenConfig } from "../config/types.ts";
import { isLoopbackName } from "./origin.ts";

/** `127.0.0.1:0`, `[::1]:8443`, `localhost:80`, `*:80` for all addresses. @throws VarveError `CONFIGURATION_INVALID` */
export function parseAddress(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port = ""] = /^(?:\[([0-9a-f:.%\w]+)\]|([^:[\]/\s]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535 || (bracketed !== undefined && !isIPv6(bracketed))) {
    throw new VarveError("CONFIGURATION_INVALID", `${JSON.stringify(text.slice(0, 160))} is no address to listen at`, {
      hint: "write it as HOST:PORT, for example 127.0.0.1:5000, [::1]:5000 or *:5000; port 0 takes any free one",
    });
  }
  return { host, port: Number(port) };
}

export function formatAddress(address: string, port: number): string {
  return `${isIPv6(address) ? `[${address}]` : address}:${port}`;
}

/**
 * Whoever can reach a TCP port can use the daemon with this machine's credentials, so there must be something to show, or the port must be
 * for this machine alone.
 * @throws VarveError `CONFIGURATION_INVALID`
 */
export function mayListen({ noAuth, tokenFile, tls }: ListenConfig, host: string): void {
  const isHere = isLoopbackName(isIPv6(host) ? `[${host}]` : host);
  if (noAuth && !isHere) {
    throw new VarveError(
      "CONFIGURATION_INVALID",
      `${host} is no loopback address, and listen.noAuth is only for these`,
      {
        hint: "listen at 127.0.0.1, or name a file of tokens with --token-file",
      },
    );
  }
  if (!noAuth && tokenFile === null && (tls?.clientCaFile ?? null) === null) {
    throw new VarveError("CONFIGURATION_INVALID", "on TCP the daemon needs tokens or clients' certificates", {
      hint: "name a file of tokens with --token-file, authorities with --client-ca, or on loopback say --no-auth",
    });
  }
}

/** Whole or not at all, for those who wait for it. @throws VarveError */
export async function writeAddress(path: string, address: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, `${address}\n`, { flag: "w" });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw toVarveError(error, "the address file");
  }
}
