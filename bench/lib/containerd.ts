/** containerd as a contender: a daemon of its own, started for one pull and ended after it; its CPU time counts with the client's. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run, runOk } from "../../test/kit/peers/run.ts";
import type { Cost } from "./measure.ts";

const TICKS_PER_SECOND = 100;

export const containerdContender = { name: "containerd, ctr image pull (overlayfs)", run: pullWithContainerd };

async function pullWithContainerd(image: string, dir: string): Promise<Cost> {
  const socket = join(dir, "containerd.sock");
  const config = join(dir, "containerd.toml");
  await writeFile(
    config,
    `version = 2
root = ${JSON.stringify(join(dir, "root"))}
state = ${JSON.stringify(join(dir, "state"))}
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = ${JSON.stringify(socket)}
`,
  );
  const daemon = spawn("containerd", ["--config", config, "--log-level", "error"], { stdio: "ignore" });
  try {
    const ctr = (...args: string[]) => ["--address", socket, ...args];
    while ((await run("ctr", ctr("version"))).code !== 0) await sleep(50);
    const before = await processCost(daemon.pid ?? 0);
    const startedAt = performance.now();
    await runOk("ctr", ctr("image", "pull", "--plain-http", "--snapshotter", "overlayfs", image), {
      timeoutMs: 3_600_000,
    });
    const wall = (performance.now() - startedAt) / 1000;
    const after = await processCost(daemon.pid ?? 0);
    return { wall, user: after.user - before.user, system: after.system - before.system, rss: after.rss };
  } finally {
    const ended = once(daemon, "exit");
    daemon.kill("SIGTERM");
    await ended;
  }
}

/** From proc(5): the process and the children it has waited for (external decompressors). */
async function processCost(pid: number): Promise<Omit<Cost, "wall">> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15);
  const peak = /VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1];
  return {
    user: (user + childUser) / TICKS_PER_SECOND,
    system: (system + childSystem) / TICKS_PER_SECOND,
    rss: Number(peak) / 1024,
  };
}
