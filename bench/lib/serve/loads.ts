/** What clients ask of a server, from processes of their own, so that their work is not the server's. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runOk } from "../../../test/kit/peers/run.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import type { HeadTimes, HeadWork } from "./head-main.ts";

export interface Pace {
  readonly seconds: number;
  readonly bytes: number;
}

/**
 * Gets these in their order, over so many connections that each go on as soon as they can, and throws the bytes away.
 * @throws Error when an answer is not 200 or breaks off
 */
export async function getAll(urls: readonly string[], connections: number): Promise<Pace> {
  await using dir = await tempDir("varve-serve-load-");
  const list = join(dir.path, "urls");
  await writeFile(list, urls.map((url) => `url = "${url}"\noutput = /dev/null\n`).join(""));
  const parallel = connections > 1 ? ["-Z", "--parallel-immediate", "--parallel-max", String(connections)] : [];
  const args = ["-s", "-S", "--fail", "-q", ...parallel, "-w", "%{size_download}\\n", "-K", list];
  const startedAt = performance.now();
  const { stdout } = await runOk("curl", args, { timeoutMs: 3_600_000 });
  const seconds = (performance.now() - startedAt) / 1000;
  const sizes = stdout.toString().trim().split("\n").map(Number);
  if (sizes.length !== urls.length) throw new Error(`${sizes.length} of ${urls.length} answers came`);
  return { seconds, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Sends HEADs at a steady pace until `until` settles. */
export async function headsDuring(work: HeadWork, until: Promise<unknown>): Promise<HeadTimes> {
  const child = fork(join(import.meta.dirname, "head-main.ts"), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const exited = once(child, "exit");
  const failed = exited.then((): never => {
    throw new Error("the clients that ask for heads have ended");
  });
  const answer = once(child, "message") as Promise<[HeadTimes]>;
  child.send(work);
  await Promise.race([until, failed]);
  child.send("stop");
  const [times] = await Promise.race([answer, failed]);
  child.disconnect();
  await exited;
  return times;
}
