/** Where the daemon listens: a Unix socket, TCP with or without TLS, and what systemd hands it. */
import { rm } from "node:fs/promises";
import type { AddressInfo, Socket } from "node:net";
import { VarveError } from "../../errors/varve-error.ts";
import type { DaemonConfig } from "../config/types.ts";
import { noteHandshake, type Certificates } from "./certificates.ts";
import type { Gate } from "./gate.ts";
import { createServer, type HttpServer } from "./http-server.ts";
import { listenError, listening, listenOnSocket } from "./unix-socket.ts";
import { formatAddress, mayListen, parseAddress, writeAddress } from "./address.ts";
import { pathOfInherited } from "./inherited.ts";
import type { Entrance } from "./visit.ts";

export interface Entrances {
  /** `HOST:PORT` of each TCP listener. */
  readonly addresses: readonly string[];
  /** Paths of Unix sockets; those that systemd made included where it tells them. */
  readonly sockets: readonly string[];
  /** New connections get them. */
  replaceCertificates(certificates: Certificates): void;
  /** No new connections from now on, and those on which nothing happens end. */
  stopListening(): void;
  /** Ends all connections. Settles when they have ended and what was made for them is gone. */
  close(): Promise<void>;
}

export interface EntranceParts {
  readonly config: DaemonConfig;
  readonly certificates: Certificates | undefined;
  /** Open file descriptors of listening sockets. */
  readonly inherited: readonly number[];
  readonly gate: Gate;
}

/** @throws VarveError `CONFIGURATION_INVALID`, `DAEMON_RUNNING`, `LISTEN_FAILED` ... */
export async function openEntrances({ config, certificates, inherited, gate }: EntranceParts): Promise<Entrances> {
  const { listen, limits } = config;
  let current = certificates;
  const opened: { readonly server: HttpServer; readonly isTls: boolean }[] = [];
  const addresses: string[] = [];
  const sockets: string[] = [];
  const made: string[] = [];

  const open = async (
    kind: Entrance["kind"],
    isOpen: boolean,
    start: (server: HttpServer) => Promise<void>,
  ): Promise<HttpServer> => {
    const isTls = kind === "tcp" && certificates !== undefined;
    const entrance: Entrance = { kind, isTls, isOpen: kind === "tcp" && isOpen };
    const server = createServer(limits, isTls ? certificates : undefined, (request, response) =>
      gate.handle(request, response, entrance),
    );
    if (isTls) {
      server.on("secureConnection", (socket: Socket) => {
        if (current !== undefined) noteHandshake(socket, current);
      });
    }
    opened.push({ server, isTls });
    await start(server);
    return server;
  };
  const close = async (): Promise<void> => {
    await Promise.all(opened.map(closed));
    // Node removes a socket's file with its server; an address that nobody listens at any more would mislead.
    await Promise.all(made.map((path) => rm(path, { force: true })));
  };

  try {
    for (const fd of inherited) {
      const path = await pathOfInherited(fd);
      const server = await open(path === undefined ? "tcp" : "socket", listen.noAuth, (server) =>
        listening(server, () => server.listen({ fd })).catch((error: unknown) => {
          throw listenError(error, `file descriptor ${fd}`);
        }),
      );
      if (path !== undefined) {
        sockets.push(path);
        continue;
      }
      const { address, port } = server.address() as AddressInfo;
      mayListen(listen, address);
      addresses.push(formatAddress(address, port));
    }
    const { socket, address } = listen;
    if (socket !== null) {
      await open("socket", true, (server) => listenOnSocket(server, socket));
      sockets.push(socket);
    }
    if (address !== null) {
      const { host, port } = parseAddress(address);
      mayListen(listen, host);
      const server = await open("tcp", listen.noAuth, (server) =>
        listening(server, () => server.listen({ port, ...(host !== "*" && { host }) })).catch((error: unknown) => {
          throw listenError(error, address);
        }),
      );
      const actual = server.address() as AddressInfo;
      addresses.push(formatAddress(actual.address, actual.port));
    }
    if (opened.length === 0) {
      throw new VarveError("CONFIGURATION_INVALID", "there is nothing to listen at", {
        hint: "name a Unix socket with --socket PATH, or an address with --listen HOST:PORT",
      });
    }
    if (listen.addressFile !== null && addresses[0] !== undefined) {
      await writeAddress(listen.addressFile, addresses[0]);
      made.push(listen.addressFile);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    addresses,
    sockets,
    replaceCertificates(certificates) {
      current = certificates;
      for (const { server, isTls } of opened)
        if (isTls && "setSecureContext" in server)
          server.setSecureContext({ ...certificates, ca: [...certificates.ca] });
    },
    stopListening() {
      for (const { server } of opened) server.close(() => undefined);
    },
    close,
  };
}

function closed({ server }: { readonly server: HttpServer }): Promise<void> {
  return new Promise((resolve) => {
    // One that never listened calls back with an error, which is as good.
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
