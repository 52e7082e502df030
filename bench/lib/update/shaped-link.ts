/**
 * A line between a client and a server on loopback, in a process of its own: so many bits per second, shared by all connections, and so
 * long a way there and back. It passes on bytes, whatever they are, and so serves varve and its peers alike. What it does not imitate
 * is the start of TCP, which is slow on real lines: a new connection costs a round trip here and no more.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

export interface LinkSetup {
  /** `127.0.0.1:PORT` */
  readonly target: string;
  /** From the server to the client. Default: as fast as it goes. */
  readonly bitsPerSecond?: number;
  /** Milliseconds there and back. Default 0. */
  readonly roundTripMs?: number;
}

/** What passed since it was last asked for; heads of HTTP answers are among the bytes. */
export interface Passed {
  readonly bytes: number;
  readonly requests: number;
  readonly connections: number;
}

export type FromLink = { readonly host: string } | { readonly passed: Passed };

export interface ShapedLink extends AsyncDisposable {
  /** `127.0.0.1:PORT`, to be used in the server's place. */
  readonly host: string;
  passed(): Promise<Passed>;
}

export async function startShapedLink(setup: LinkSetup): Promise<ShapedLink> {
  const child = fork(join(import.meta.dirname, "shaped-link-main.ts"), {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const exited = once(child, "exit");
  const ask = async (message: object): Promise<FromLink> => {
    const answer = once(child, "message");
    child.send(message);
    return ((await Promise.race([answer, exited.then(gone)])) as [FromLink])[0];
  };
  const started = await ask(setup);
  if (!("host" in started)) throw new Error("the line did not say where it listens");
  return {
    host: started.host,
    async passed() {
      const answer = await ask({});
      if (!("passed" in answer)) throw new Error("the line did not say what passed");
      return answer.passed;
    },
    async [Symbol.asyncDispose]() {
      child.disconnect();
      await exited;
    },
  };
}

function gone(): never {
  throw new Error("the line's process has ended");
}
