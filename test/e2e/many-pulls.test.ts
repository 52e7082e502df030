/** Many processes that pull the same or overlapping images into one store, some of which die. */
import { onTestFinished, describe, expect, it } from "vitest";
import type { ProgressEvent } from "../../src/recipe/progress.ts";
import type { PullResult } from "../../src/transfer/pull-result.ts";
import { startFaultProxy, type FaultProxy } from "../kit/faults/fault-proxy.ts";
import type { KitImage } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import type { RunningProgram } from "../kit/peers/run.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { newMachine, type Machine } from "./machine.ts";
import { bulkImage, layerBytes, overlappingImages } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

const MIB = 1 << 20;
const MANY = 8;

interface Crowd {
  readonly machine: Machine;
  readonly proxy: FaultProxy;
  /** Starts a pull of this tag. */
  start(tag: string): RunningProgram;
}

/** Images by tag behind a proxy that gives each layer so many bytes a second. */
async function crowd(images: Readonly<Record<string, KitImage>>, bytesPerSecond: number): Promise<Crowd> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  for (const [tag, image] of Object.entries(images)) await pushImage(registry.host, "app", tag, image);
  const rules = [{ path: /\/blobs\//, fault: { kind: "slow", bytesPerSecond } as const }];
  const proxy = await startFaultProxy({ target: registry.host, rules });
  onTestFinished(() => proxy.close());
  return {
    machine,
    proxy,
    start(tag) {
      const program = machine.start(["pull", "--json", "--progress", "json", `${proxy.host}/app:${tag}`]);
      onTestFinished(() => program[Symbol.asyncDispose]());
      return program;
    },
  };
}

function eventsOf(program: RunningProgram): ProgressEvent[] {
  return program
    .said()
    .split("\n")
    .filter((line) => line.startsWith('{"type"') && line.endsWith("}"))
    .map((line) => JSON.parse(line) as ProgressEvent);
}

const isFetching = (program: RunningProgram, digest: string): boolean =>
  eventsOf(program).some((event) => event.type === "progress" && event.digest === digest && event.done > 0);

const blobRequests = ({ proxy }: Crowd, digest: string): number =>
  proxy.requests.filter(({ method, path }) => method === "GET" && path.endsWith(digest)).length;

async function expectAllPulled(
  programs: readonly RunningProgram[],
  images: readonly KitImage[],
): Promise<PullResult[]> {
  const results = await Promise.all(programs.map(({ result }) => result));
  expect(results.map(({ code, stderr }) => (code === 0 ? 0 : stderr))).toEqual(programs.map(() => 0));
  const reports = results.map(({ stdout }) => JSON.parse(stdout.toString()) as PullResult);
  expect(reports.map(({ digest }) => digest)).toEqual(images.map(({ digest }) => digest));
  return reports;
}

describe(`${MANY} processes`, () => {
  it("that pull one image fetch each blob once, and those that wait see how far it is", async () => {
    const image = await bulkImage(61, 4 * MIB, MIB, MIB);
    const all = await crowd({ "1": image }, 2_000_000);
    const programs = Array.from({ length: MANY }, () => all.start("1"));
    const reports = await expectAllPulled(
      programs,
      programs.map(() => image),
    );
    for (const { digest } of [...image.layers.map(({ descriptor }) => descriptor), image.config]) {
      expect(blobRequests(all, digest)).toBe(1);
    }
    expect(all.proxy.bytesFor(/\/blobs\//)).toBe(layerBytes(image) + image.config.bytes.length);
    const moved = reports.reduce(
      (sum, { layers }) => sum + layers.reduce((bytes, layer) => bytes + layer.bytes.network, 0),
      0,
    );
    expect(moved).toBe(layerBytes(image));

    const largest = image.layers[0]?.descriptor ?? expect.fail("no layer");
    const waits = programs.map((program) =>
      eventsOf(program).filter((event) => event.type === "wait" && event.digest === largest.digest),
    );
    expect(waits.filter((each) => each.length > 0)).toHaveLength(MANY - 1);
    const shares = waits.flat().map((event) => (event.type === "wait" ? event.done / event.total : 0));
    expect(shares.every((share) => share >= 0 && share <= 1)).toBe(true);
    // Two seconds of waiting, looked at every half second.
    expect(shares.some((share) => share > 0.2 && share < 1)).toBe(true);
    expect(await storeFaults(all.machine.root)).toEqual([]);
  });

  it("that pull images with layers in common fetch each blob once", async () => {
    const [one, two] = await overlappingImages(62, 2 * MIB);
    const all = await crowd({ "1": one, "2": two }, 4_000_000);
    const programs = Array.from({ length: MANY }, (_, at) => all.start(at % 2 === 0 ? "1" : "2"));
    await expectAllPulled(
      programs,
      programs.map((_, at) => (at % 2 === 0 ? one : two)),
    );
    const digests = new Set([one, two].flatMap(({ blobs }) => blobs.map(({ digest }) => digest)));
    expect([...digests].map((digest) => blobRequests(all, digest))).toEqual([...digests].map(() => 1));
    expect(await storeFaults(all.machine.root)).toEqual([]);
  });

  it("outlive those of them that fetch: another goes on where the dead one was", async () => {
    const image = await bulkImage(63, 12 * MIB);
    const { digest, size } = image.layers[0]?.descriptor ?? expect.fail("no layer");
    const all = await crowd({ "1": image }, 3_000_000);
    const programs = Array.from({ length: MANY }, () => all.start("1"));
    const killed: RunningProgram[] = [];
    for (let death = 0; death < 2; death++) {
      // What is recorded is seen by another process, as its plan.
      const recorded = async () =>
        (await all.machine.pull("--plan", `${all.proxy.host}/app:1`)).layers[0]?.bytes.network ?? size;
      const before = await recorded();
      while ((await recorded()) > before - MIB);
      const fetching = programs.filter((program) => !killed.includes(program) && isFetching(program, digest));
      expect(fetching).toHaveLength(1);
      for (const program of fetching) {
        program.kill("SIGKILL");
        killed.push(program);
        expect((await program.result).code).toBe(137);
      }
      expect(await storeFaults(all.machine.root)).toEqual([]);
    }
    all.proxy.setRules([]);
    const living = programs.filter((program) => !killed.includes(program));
    const reports = await expectAllPulled(
      living,
      living.map(() => image),
    );
    expect(reports.filter(({ layers }) => layers[0]?.how === "resumed")).toHaveLength(1);
    expect(reports.filter(({ layers }) => layers[0]?.how === "present")).toHaveLength(MANY - 3);
    expect(blobRequests(all, digest)).toBe(3);
    // A checkpoint is 32 MiB or a second: here a second of 3 MB, and what was on the way, for each death.
    expect(all.proxy.bytesFor(new RegExp(digest))).toBeLessThan(size + 2 * 8 * MIB);
    expect(await storeFaults(all.machine.root)).toEqual([]);
  });
});

describe("a tag that is pushed again", () => {
  it("while an older pull was cut off never mixes with what that left", async () => {
    const [older, newer] = await Promise.all([bulkImage(64, 6 * MIB), bulkImage(65, 6 * MIB)]);
    const all = await crowd({ "1": older }, 3_000_000);
    const program = all.start("1");
    const pullPlan = () => all.machine.pull("--plan", `${all.proxy.host}/app:1`);
    while ((await pullPlan()).layers[0]?.how !== "resumed");
    program.kill("SIGKILL");
    await program.result;
    all.proxy.setRules([]);
    await pushImage(all.proxy.host, "app", "1", newer);
    const pulled = await all.machine.pull(`${all.proxy.host}/app:1`);
    expect(pulled).toMatchObject({ digest: newer.digest, resumedBytes: 0, layers: [{ how: "full" }] });
    expect(pulled.layers[0]?.bytes.network).toBe(layerBytes(newer));
    // The older one's is still there, for who asks for it by digest.
    const old = await all.machine.pull(`${all.proxy.host}/app@${older.digest}`);
    expect(old).toMatchObject({ digest: older.digest, layers: [{ how: "resumed" }] });
    expect(await storeFaults(all.machine.root)).toEqual([]);
  });
});

describe("a registry without ranges", () => {
  it("costs the layer that was cut off once more from its start, and this is said", async () => {
    const image = await bulkImage(66, 6 * MIB);
    const { digest } = image.layers[0]?.descriptor ?? expect.fail("no layer");
    const all = await crowd({ "1": image }, 3_000_000);
    const program = all.start("1");
    const reference = `${all.proxy.host}/app:1`;
    while ((await all.machine.pull("--plan", reference)).layers[0]?.how !== "resumed");
    program.kill("SIGKILL");
    await program.result;
    all.proxy.setRules([{ ranged: true, fault: { kind: "ignoreRange" } }]);
    const before = all.proxy.bytesFor(new RegExp(digest));
    const { stderr, json, code } = await all.machine.varve("pull", "--json", "--progress", "plain", reference);
    expect(code).toBe(0);
    const [layer] = (json as PullResult).layers;
    expect(layer?.fallbacks).toEqual([{ from: "ranges", reason: expect.stringContaining("RANGE_UNSUPPORTED") }]);
    expect(stderr).toMatch(/fell back from ranges: RANGE_UNSUPPORTED/);
    // The whole, and at most what came of the answer that ignored the range.
    expect(all.proxy.bytesFor(new RegExp(digest)) - before).toBeLessThan(2 * layerBytes(image));
    expect(await storeFaults(all.machine.root)).toEqual([]);
  });
});
