/** `varve gc` and `varve prune`, as users meet them: beside pulls, after pulls that were cut off, on old and on full stores. */
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  checkStore,
  collectGarbage,
  openVarve,
  pull,
  prune,
  tagImage,
  type GcResult,
  type PruneResult,
} from "../../src/index.ts";
import { openSource } from "../../src/transfer/open-place.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { buildImage, type KitImage } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { newMachine, type Machine } from "./machine.ts";
import { bulkImage, sampleImage, sampleLayers } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

const DAY_MS = 86_400_000;

let registry: KitRegistry;
const at = (name: string): string => `${registry.host}/${name}`;

beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry.close());

async function push(name: string, image: KitImage): Promise<string> {
  const [repository = "", tag = ""] = name.split(":");
  await pushImage(registry.host, repository, tag, image);
  return at(name);
}

const open = (machine: Machine, readOnly = false) => openVarve({ root: machine.root, threads: 0, store: { readOnly } });

/** As if the images had last been pulled so many days ago. */
async function age(machine: Machine, days: Readonly<Record<string, number>>): Promise<void> {
  const database = new DatabaseSync(join(machine.root, "meta.db"));
  for (const [name, count] of Object.entries(days)) {
    database.prepare("UPDATE images SET updated_at = ? WHERE name = ?").run(Date.now() - count * DAY_MS, at(name));
  }
  database.close();
}

async function expectSound(machine: Machine): Promise<void> {
  expect(await storeFaults(machine.root)).toEqual([]);
  await using varve = await open(machine, true);
  expect((await checkStore(varve)).findings.filter(({ severity }) => severity === "error")).toEqual([]);
}

describe("varve gc", () => {
  it("frees what a moved tag has left, and tells what", async () => {
    await using machine = await newMachine();
    const old = await sampleImage(1);
    await machine.pull(await push("moved:1", old));
    await machine.pull(await push("moved:1", await sampleImage(2)));
    const would = (await machine.ok("gc", "--dry-run")) as GcResult;
    const done = (await machine.ok("gc")) as GcResult;
    expect(done.blobs.count).toBe(old.layers.length + 2);
    expect(done).toMatchObject({ records: old.layers.length, dryRun: false, broken: [] });
    expect({ ...would, dryRun: false, durationMs: 0 }).toEqual({ ...done, durationMs: 0 });
    await expectSound(machine);
    const { stdout } = await machine.varve("gc");
    expect(stdout).toBe("removed 0 blobs (0 B) and 0 partial blobs (0 B)\n0 B freed\n");
    expect((await machine.varve("-q", "gc")).stdout).toBe("0\n");
    expect(await machine.fails("gc", "--partials-older-than", "soon")).toMatchObject({ code: "USAGE", exit: 2 });
  });

  it("keeps all that a pull got which was cut off, so that the next one fetches only the rest", async () => {
    await using machine = await newMachine();
    const image = await bulkImage(3, 300_000, 6_000_000);
    const name = await push("cut:1", image);
    await using running = machine.start(["pull", "--limit-rate", "1M", "--progress", "json", name]);
    await running.output(/"layer-done"[^]*"done":[1-9]\d{6}/);
    running.kill("SIGINT");
    expect((await running.result).code).toBe(130);
    const kept = (await machine.ok("gc")) as GcResult;
    expect(kept).toMatchObject({ freedBytes: 0, blobs: { count: 0 }, partials: { count: 0 } });
    const { bytes, layers } = await machine.pull(name);
    expect(layers.map(({ how }) => how)).toEqual(["present", "resumed"]);
    expect(bytes.network).toBeLessThan(5_200_000);
    // It was finished, so nothing is kept for it any more.
    expect(await machine.ok("rm", name)).toMatchObject({ deleted: { length: 4 } });
    await expectSound(machine);
  });

  it("takes what a cut-off pull has left when it is told to, and rm does when its image goes", async () => {
    await using machine = await newMachine();
    const one = await push("half:1", await sampleImage(4));
    await machine.pull(one);
    await using varve = await open(machine);
    const leave = async (): Promise<void> => {
      const lease = await varve.store.leases.create();
      await lease.add(digestOf("half"));
      await varve.store.content.writeBytes(digestOf("half"), Buffer.from("half"));
      await lease.leave(one);
    };
    await leave();
    expect((await collectGarbage(varve)).blobs.count).toBe(0);
    expect((await collectGarbage(varve, { partialsOlderThanMs: 0 })).blobs.count).toBe(1);
    await leave();
    await machine.ok("rm", one);
    expect((await collectGarbage(varve)).blobs.count).toBe(1);
  });

  it("runs beside pulls and removals in other processes; the store is sound after", async () => {
    await using machine = await newMachine();
    const names: string[] = [];
    for (const number of [1, 2, 3]) {
      const layers = [...sampleLayers(1).slice(0, number), ...sampleLayers(number + 10)];
      names.push(await push(`beside:${number}`, await buildImage({ layers })));
    }
    await machine.pull(names[0]!);
    const commands = [...names.map((name) => ["pull", name]), ["rm", names[0]!], ["gc", "--partials-older-than", "0"]];
    await using varve = await open(machine);
    const ended = new AbortController();
    const collecting = (async () => {
      while (!ended.signal.aborted) await collectGarbage(varve, { partialsOlderThanMs: 0 });
    })();
    const outcomes = await Promise.all(commands.map((args) => machine.exec([...args, "--json", "--progress", "none"])));
    ended.abort();
    await collecting;
    for (const [index, { code, stdout }] of outcomes.entries()) {
      // The name may just have been removed, or not be there yet.
      if (code !== 0 && !(code === 3 && commands[index]![0] === "rm")) throw new Error(stdout);
    }
    await expectSound(machine);
    for (const name of names) await pull(varve, name);
    await collectGarbage(varve, { partialsOlderThanMs: 0 });
    await expectSound(machine);
  });

  it("never takes an image from under who unpacks or copies it, though its name is gone", async () => {
    await using machine = await newMachine();
    const name = await push("read:1", await sampleImage(6));
    await machine.pull(name);
    await using varve = await open(machine);
    {
      await using source = await openSource(varve, name);
      await varve.store.images.delete(name);
      expect((await collectGarbage(varve)).blobs.count).toBe(0);
      expect(await source.root()).toMatchObject({ kind: "manifest" });
    }
    expect((await collectGarbage(varve)).blobs.count).toBe(5);
    expect((await readdir(join(machine.root, "locks"))).filter((file) => file.startsWith("use-"))).toEqual([]);
  });

  it("warns and leaves the blobs when an image is broken", async () => {
    await using machine = await newMachine();
    const image = await sampleImage(7);
    await machine.pull(await push("broken:1", image));
    await writeFile(join(machine.root, "blobs", digestOf("x").replace(":", "/")), "x");
    await writeFile(join(machine.root, "blobs", image.digest.replace(":", "/")), "{}", { flag: "w" });
    const { code, stdout, stderr } = await machine.varve("gc", "--json", "--progress", "none");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ blobs: { count: 0 }, broken: [{ image: at("broken:1") }] });
    expect(stderr).toContain("fsck --repair");
    await machine.ok("fsck", "--repair");
    expect(await machine.ok("gc")).toMatchObject({ blobs: { count: 1 }, broken: [] });
  });
});

describe("varve prune", () => {
  it("takes old images, never the newest of a repository nor a base in use, and collects", async () => {
    await using machine = await newMachine();
    const base = await buildImage({ layers: sampleLayers(20).slice(0, 1) });
    await machine.pull(await push("base:1", base));
    await machine.pull(await push("base:2", await buildImage({ layers: sampleLayers(21) })));
    await machine.pull(await push("app:1", await sampleImage(22)));
    await machine.pull(await push("app:2", await buildImage({ layers: sampleLayers(20) })));
    await age(machine, { "base:1": 90, "base:2": 80, "app:1": 40, "app:2": 35 });
    const before = await machine.images();
    const would = (await machine.ok("prune", "--older-than", "30d", "--dry-run")) as PruneResult;
    expect(await machine.images()).toEqual(before);
    const done = (await machine.ok("prune", "--older-than", "30d")) as PruneResult;
    expect(done.removed).toMatchObject([{ name: at("app:1"), digest: (await sampleImage(22)).digest }]);
    expect(done.removed).toEqual(would.removed);
    expect(done.kept).toEqual(would.kept);
    expect(done).toMatchObject({ freedBytes: would.freedBytes, totalBytes: would.totalBytes, smallEnough: null });
    expect(Object.fromEntries(done.kept.map(({ name, reason }) => [name, reason]))).toEqual({
      [at("base:1")]: "base",
      [at("base:2")]: "newest",
      [at("app:2")]: "newest",
    });
    expect(done.collected.blobs.count).toBe(5);
    await expectSound(machine);
    expect((await machine.varve("prune", "--older-than", "30d", "-v")).stdout).toContain(
      `kept ${at("base:1")}: other images are built on it\n`,
    );
  });

  it("counts an image as used when a pull finds it up to date", async () => {
    await using machine = await newMachine();
    const one = await push("used:1", await sampleImage(30));
    await machine.pull(one);
    await machine.pull(await push("used:2", await sampleImage(31)));
    await age(machine, { "used:1": 90, "used:2": 1 });
    expect(await machine.pull(one)).toMatchObject({ status: "up-to-date" });
    expect(await machine.ok("prune", "--older-than", "30d")).toMatchObject({ removed: [] });
  });

  it("makes the store small enough, the least recently used first; and tells when it cannot", async () => {
    await using machine = await newMachine();
    for (const number of [1, 2, 3, 4])
      await machine.pull(await push(`big:${number}`, await bulkImage(number + 40, 200_000)));
    await age(machine, { "big:2": 9, "big:1": 8, "big:3": 7 });
    const would = (await machine.ok("prune", "--keep-storage", "1000k", "--dry-run")) as PruneResult;
    const done = (await machine.ok("prune", "--keep-storage", "1000k")) as PruneResult;
    expect(done.removed.map(({ name }) => name)).toEqual([at("big:1"), at("big:2")].toSorted());
    expect(done).toMatchObject({ smallEnough: true, totalBytes: would.totalBytes, freedBytes: would.freedBytes });
    expect(done.totalBytes).toBeLessThanOrEqual(1000 * 1024);
    const { stdout, stderr } = await machine.varve("prune", "--keep-storage", "0");
    expect(stdout).toContain(`untagged ${at("big:3")}\n`);
    expect(stderr).toContain("larger than was asked for");
    expect(await machine.images()).toMatchObject([{ name: at("big:4") }]);
    await expectSound(machine);
  });

  it("minds the filter, and takes no image without an age or a size", async () => {
    await using machine = await newMachine();
    for (const tag of ["pr-1", "pr-2", "main", "new"]) {
      await machine.pull(await push(`ci:${tag}`, await sampleImage(50 + tag.length + tag.charCodeAt(3))));
    }
    await age(machine, { "ci:pr-1": 9, "ci:pr-2": 9, "ci:main": 9 });
    expect(await machine.ok("prune")).toMatchObject({ removed: [], kept: [] });
    expect(await machine.fails("prune", "--filter", "*")).toMatchObject({ code: "USAGE", exit: 2 });
    expect(await machine.fails("prune", "--keep-storage", "lots")).toMatchObject({ code: "USAGE", exit: 2 });
    const filter = async (pattern: string): Promise<string[]> => {
      const told = await machine.ok("prune", "--older-than", "1d", "--dry-run", "--filter", pattern);
      return (told as PruneResult).removed.map(({ name }) => name.slice(name.lastIndexOf(":") + 1)).sort();
    };
    expect(await filter("ci:pr-*")).toEqual(["pr-1", "pr-2"]);
    expect(await filter(`${registry.host}/*`)).toEqual(["main", "pr-1", "pr-2"]);
    expect(await filter(`other.example/**`)).toEqual([]);
  });

  it("does not take an image that was pulled again since it was chosen", async () => {
    await using machine = await newMachine();
    const one = await push("again:1", await sampleImage(60));
    await using varve = await open(machine);
    await pull(varve, one);
    await pull(varve, await push("again:2", await sampleImage(61)));
    await age(machine, { "again:1": 90 });
    const chosen = await varve.store.images.list();
    await pull(varve, one);
    expect(await varve.store.images.deleteUnchanged(chosen)).toEqual([at("again:2")]);
    expect(await prune(varve, { olderThanMs: DAY_MS })).toMatchObject({ removed: [] });
  });
});

describe("a name that is given while the old one is taken out", () => {
  it("has its content, or is not given", async () => {
    await using machine = await newMachine();
    const one = await push("alias:1", await sampleImage(70));
    await using varve = await open(machine);
    for (let round = 0; round < 5; round++) {
      await pull(varve, one);
      const tagging = tagImage(varve, one, at("alias:other")).catch(() => undefined);
      await varve.store.images.delete(one);
      await collectGarbage(varve);
      await tagging;
      await collectGarbage(varve);
      await expectSound(machine);
    }
  });
});
