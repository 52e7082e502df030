/** A port for a program that cannot say which one the kernel gave it. */
import { createServer } from "node:net";
import { listen } from "../net/listen.ts";

/** Free a moment ago; somebody else may take it first, so the caller has to try again when its program cannot. */
export async function freePort(): Promise<number> {
  const listening = await listen(createServer());
  await listening.close();
  return listening.port;
}
