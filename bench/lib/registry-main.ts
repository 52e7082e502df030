/**
 * The kit's registry as a program of its own, so that a benchmark's clock does not count the work of the server with that of
 * the benchmark. Started by {@link ./registry-process.ts}; ends with the channel to it.
 */
import { startRegistry } from "../../test/kit/registry/registry.ts";
import type { FromRegistry, RegistrySetup } from "./registry-process.ts";

const send = (message: FromRegistry): void => void process.send?.(message);

process.once("message", (setup: RegistrySetup) => void serve(setup));

async function serve({ tls }: RegistrySetup): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry(tls === undefined ? {} : { tls }));
  process.on("message", () => {
    send({ requests: registry.requests.map(({ method, path }) => `${method} ${path}`) });
    registry.clearRequests();
  });
  send({ host: registry.host });
  await new Promise((resolve) => process.once("disconnect", resolve));
}
