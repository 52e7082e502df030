/** A kit registry in another process, and what it was asked for. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

export interface RegistrySetup {
  /** PEM; without it the registry speaks plain HTTP. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

export type FromRegistry = { readonly host: string } | { readonly requests: readonly string[] };

export interface RegistryProcess extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** `METHOD PATH` of each request since the last call, in order of arrival. */
  requests(): Promise<readonly string[]>;
}

export async function startRegistryProcess(setup: RegistrySetup = {}): Promise<RegistryProcess> {
  const child = fork(join(import.meta.dirname, "registry-main.ts"), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const exited = once(child, "exit");
  const ask = async (message: object): Promise<FromRegistry> => {
    const answer = once(child, "message");
    child.send(message);
    return ((await Promise.race([answer, exited.then(gone)])) as [FromRegistry])[0];
  };
  const started = await ask(setup);
  if (!("host" in started)) throw new Error("the registry did not say where it listens");
  return {
    host: started.host,
    async requests() {
      const answer = await ask({});
      return "requests" in answer ? answer.requests : [];
    },
    async [Symbol.asyncDispose]() {
      child.disconnect();
      await exited;
    },
  };
}

function gone(): never {
  throw new Error("the registry's process has ended");
}
