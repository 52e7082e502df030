/** Servers of the kit listen on loopback, on a port that the kernel chose, and end when they are told to. */
import type { Server as HttpServer } from "node:http";
import type { AddressInfo, Server } from "node:net";

export interface Listening {
  readonly port: number;
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** Stops listening and breaks the connections that are open. */
  close(): Promise<void>;
}

/** @param port 0 (default): any free one; otherwise the port of a server that was closed a moment ago */
export async function listen(server: Server | HttpServer, port = 0): Promise<Listening> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
  const actual = (server.address() as AddressInfo).port;
  return {
    port: actual,
    host: `127.0.0.1:${actual}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
}
