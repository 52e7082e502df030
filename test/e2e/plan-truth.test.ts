/**
 * `pull --plan` is true: for pairs of versions of an image, made by chance, the pull that follows moves the bytes and asks as often as it
 * said. The registry's answers are counted at the proxy, so that neither of the two only repeats itself. Each is a client of its own, for
 * which the registry answers at once: what a busy machine makes of its latency is not a matter of the plan.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openVarve, pull, type PullResult } from "../../src/index.ts";
import { fakeClock } from "../kit/http/fake-clock.ts";
import { NO_HOME } from "../kit/http/test-client.ts";
import { buildImage, type KitImage } from "../kit/images/build-image.ts";
import { buildLayer, type KitLayer } from "../kit/images/build-layer.ts";
import { chunkedLayer } from "../kit/images/chunked-layer.ts";
import { createRng, type Rng } from "../kit/images/rng.ts";
import { usableDrivers } from "../kit/snapshot/usable-drivers.ts";
import { tempDir } from "../kit/temp-dir.ts";
import { directory, file, hardlink, type TreeNode } from "../kit/trees/tree-node.ts";
import { chunkedBench, imageFaults, type ChunkedBench } from "./chunked-bench.ts";

const DRIVERS = await usableDrivers();
/** More of them: `PLAN_TRUTH_CASES=200 npx vitest run test/e2e/plan-truth.test.ts`; PLAN_TRUTH_SEED is the first. */
const CASES = Number(process.env["PLAN_TRUTH_CASES"] ?? 6);
const SEED = Number(process.env["PLAN_TRUTH_SEED"] ?? 1);

let bench: ChunkedBench;
beforeAll(async () => void (bench = await chunkedBench()));
afterAll(() => bench[Symbol.asyncDispose]());

type Files = ReadonlyMap<string, TreeNode>;

/** Files of all sizes, which are bytes, text, zeros or nothing. */
function someFiles(rng: Rng, prefix: string): Files {
  const files = new Map<string, TreeNode>();
  const count = rng.between(1, 25);
  for (let at = 0; at < count; at++) {
    const path = `${prefix}/f${at}`;
    const size = rng.pick([0, 1, 700, 20_000, 150_000, 700_000]) + rng.int(3000);
    const content = rng.pick([() => rng.bytes(size), () => rng.text(size), () => Buffer.alloc(size)])();
    files.set(path, file(path, size < 100 ? "" : content, { mode: rng.pick([0o644, 0o755, 0o600]) }));
  }
  return files;
}

/** What a next version makes of them. */
function changed(rng: Rng, files: Files, prefix: string): Files {
  const next = new Map<string, TreeNode>();
  for (const [path, node] of files) {
    const bytes = Buffer.from(node.content!);
    const at = rng.int(bytes.length + 1);
    const draw = rng.int(20);
    const put = (to: string, content: Uint8Array, rest: Partial<TreeNode> = {}): void =>
      void next.set(to, file(to, content, { mode: node.mode!, ...rest }));
    if (draw === 0) put(path, rng.bytes(bytes.length));
    else if (draw === 1) put(`${path}.renamed`, bytes);
    else if (draw === 2) put(path, Buffer.concat([bytes, rng.bytes(5000)]));
    else if (draw === 3) put(path, bytes.subarray(0, at));
    else if (draw === 4) put(path, bytes, { mode: 0o700 });
    else if (draw === 5) put(path, bytes, { mtime: 1_800_000_000_000_000_000n });
    else if (draw === 6) put(path, Buffer.concat([bytes.subarray(0, at), Buffer.from("a line\n"), bytes.subarray(at)]));
    else if (draw !== 7) next.set(path, node);
  }
  if (rng.chance(0.5)) next.set(`${prefix}/new`, file(`${prefix}/new`, rng.bytes(rng.between(100, 90_000))));
  return next;
}

/** Some of them under another name as well. */
function members(files: Files, prefix: string): TreeNode[] {
  const nodes = [...files.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const linked = nodes.filter(({ path, content }) => path.endsWith("3") && content!.length > 0);
  const links = linked.map(({ path, mode, mtime }) =>
    hardlink(`${path}.link`, path, { mode: mode!, ...(mtime !== undefined && { mtime }) }),
  );
  return [directory(prefix), ...nodes, ...links];
}

interface Pair {
  readonly old: KitImage;
  readonly next: KitImage;
  readonly layers: readonly (readonly TreeNode[])[];
}

async function randomPair(rng: Rng): Promise<Pair> {
  const [old, next]: KitLayer[][] = [[], []];
  const layers: TreeNode[][] = [];
  const count = rng.between(1, 3);
  for (let at = 0; at < count; at++) {
    const prefix = `layer${at}`;
    const before = someFiles(rng, prefix);
    const after = rng.chance(0.2) ? before : changed(rng, before, prefix);
    const nodes = members(after, prefix);
    layers.push(nodes);
    const was = members(before, prefix);
    old!.push(await (rng.chance(0.4) ? buildLayer(was, { compression: "gzip" }) : chunkedLayer(was)));
    next!.push(await (rng.chance(0.15) ? buildLayer(nodes, { compression: "zstd" }) : chunkedLayer(nodes)));
  }
  return { old: await buildImage({ layers: old! }), next: await buildImage({ layers: next! }), layers };
}

describe("a plan", () => {
  const cases = Array.from({ length: CASES }, (_, at) => [SEED + at, DRIVERS[at % DRIVERS.length]!] as const);
  it.each(cases)("is what the pull then does (pair %i, unpacked by %s)", async (seed, driver) => {
    const { old, next, layers } = await randomPair(createRng(seed));
    await using dir = await tempDir();
    const root = join(dir.path, "store");
    const run = async (name: string, plan = false): Promise<PullResult> => {
      const registry = { registriesConf: false, env: NO_HOME, clock: fakeClock() } as const;
      await using varve = await openVarve({ root, threads: 0, snapshotter: driver, store: { sync: false }, registry });
      return await pull(varve, name, { plan });
    };
    await run(await bench.push("truth", `${seed}-old`, old));
    const name = await bench.push("truth", `${seed}-new`, next);
    // Whatever the first plan finds out and keeps must not change the second.
    const [first, plan] = [await run(name, true), await run(name, true)];
    expect(first.layers).toEqual(plan.layers);
    const asked = bench.proxy.requests.length;
    const result = await run(name);
    const sent = bench.proxy.requests.slice(asked).reduce((sum, request) => sum + request.sent, 0);
    expect(sent).toBe(result.bytes.network);
    expect(Math.abs(result.bytes.network - plan.bytes.network)).toBeLessThan(1 + 0.01 * plan.bytes.network);
    for (const [index, layer] of result.layers.entries()) {
      const { how, requests, bytes } = plan.layers[index]!;
      const { local, data, zero } = bytes;
      expect(layer).toMatchObject({ how, requests, fallbacks: [], bytes: { local, data, zero } });
    }
    expect(await imageFaults({ root }, next, layers)).toEqual([]);
  });
});
