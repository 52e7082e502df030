/** Jobs outlive the daemon: killed outright in the midst of a pull, the next one goes on with it, and fetches what is missing. */
import { describe, expect, it, onTestFinished } from "vitest";
import { openClient } from "../../../src/daemon/client/client.ts";
import type { Job } from "../../../src/daemon/jobs/types.ts";
import { pushImage } from "../../kit/images/push-image.ts";
import { startServe, type ServeProcess } from "../../kit/daemon/serve-process.ts";
import { startFaultProxy } from "../../kit/faults/fault-proxy.ts";
import { runVarve } from "../../kit/peers/varve.ts";
import { startRegistry } from "../../kit/registry/registry.ts";
import { tempDir } from "../../kit/temp-dir.ts";
import { bulkImage } from "../../e2e/samples.ts";
import { storeFaults } from "../../e2e/store-health.ts";
import { endedJob } from "./ended-job.ts";

const MIB = 1 << 20;
const JSON_TYPE = { "content-type": "application/json" };

async function serve(root: string): Promise<ServeProcess> {
  const daemon = await startServe({ root });
  onTestFinished(() => daemon[Symbol.asyncDispose]());
  return daemon;
}

describe("a daemon that is killed with a pull under way", () => {
  it("is gone on from by the next one, which fetches what is missing and counts both tries", async () => {
    await using dir = await tempDir();
    const root = `${dir.path}/store`;
    await using registry = await startRegistry();
    const image = await bulkImage(1, 6 * MIB);
    await pushImage(registry.host, "app", "1", image);
    const layer = new RegExp(image.layers[0]!.descriptor.digest);
    await using proxy = await startFaultProxy({
      target: registry.host,
      rules: [{ path: layer, fault: { kind: "stall", afterBytes: 5 * MIB } }],
    });
    const reference = `${proxy.host}/app:1`;
    const first = await serve(root);
    const added = await first.call("POST", "/v1/pulls", JSON_TYPE, JSON.stringify({ reference }));
    expect(added.status).toBe(202);
    const { id } = added.json() as unknown as Job;
    // What was written is recorded a second after its first byte: seen in the plan of another process.
    for (let how: unknown; how !== "resumed";) {
      const { stdout } = await runVarve(["pull", "--plan", "--json", reference], { root });
      how = (JSON.parse(stdout.toString()) as { layers: { how: string }[] }).layers[0]?.how;
    }
    first.kill("SIGKILL");
    expect((await first.result).code).toBe(137);
    proxy.setRules([]);
    const second = await serve(root);
    const job = await endedJob(second.host, id);
    expect(job).toMatchObject({ kind: "pull", state: "done", attempts: 2, error: null });
    const result = job.result as Job<"pull">["result"];
    expect(result).toMatchObject({ status: "pulled", digest: image.digest });
    expect(result?.resumedBytes).toBeGreaterThanOrEqual(MIB);
    expect(await storeFaults(root)).toEqual([]);
  });

  it("is stopped by SIGTERM without a try being counted, and goes on where it was", async () => {
    await using dir = await tempDir();
    const root = `${dir.path}/store`;
    await using registry = await startRegistry();
    const image = await bulkImage(2, 3 * MIB);
    await pushImage(registry.host, "app", "1", image);
    // Slowly enough to be told of before it stops.
    const faults = [
      { kind: "slow", bytesPerSecond: 2 * MIB } as const,
      { kind: "stall", afterBytes: 2 * MIB } as const,
    ];
    await using proxy = await startFaultProxy({ target: registry.host, rules: [{ path: /\/blobs\//, fault: faults }] });
    const first = await serve(root);
    const body = JSON.stringify({ reference: `${proxy.host}/app:1` });
    const { id } = (await first.call("POST", "/v1/pulls", JSON_TYPE, body)).json() as unknown as Job;
    // The bytes that came are kept when it is stopped, so some have to have come.
    for await (const event of openClient({ url: `http://${first.host}` }).jobs.events(id)) {
      if (event.type === "progress" && event.event.type === "progress" && event.event.done > 0) break;
    }
    first.kill("SIGTERM");
    expect((await first.result).code).toBe(0);
    proxy.setRules([]);
    const job = await endedJob((await serve(root)).host, id);
    expect(job).toMatchObject({ state: "done", attempts: 1, result: { status: "pulled", digest: image.digest } });
    expect((job.result as Job<"pull">["result"])?.resumedBytes).toBeGreaterThan(0);
  });
});
