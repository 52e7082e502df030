/** Images converted on their way from place to place: what others read of them, what later versions cost, and what is left when it is stopped. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import type { ConvertResult } from "../../src/transfer/convert.ts";
import type { CopyResult } from "../../src/transfer/copy.ts";
import { buildImage, type KitImage } from "../kit/images/build-image.ts";
import { writeOciLayout } from "../kit/images/oci-layout.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { startDockerRegistry, type DockerRegistry } from "../kit/peers/docker-registry.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { directory, file, type TreeNode } from "../kit/trees/tree-node.ts";
import { newMachine, type Machine } from "./machine.ts";
import { lacks, skopeoCopy, skopeoManifest, skopeoRaw } from "./peers/programs.ts";
import { bulkImage } from "./samples.ts";
import { storeFaults } from "./store-health.ts";
import { mountTmpfs } from "./tmpfs.ts";

const MIB = 1 << 20;
const CHUNKED = ["--compression", "zstd:chunked"];
const rng = createRng(91);
const FILES = Array.from({ length: 20 }, (_, at) => file(`app/f${at}`, rng.bytes(20_000 + at * 1000)));
const LARGE = rng.bytes(1.5 * MIB);
const NEW = rng.bytes(40_000);

/** Of which the second has a file more, and one byte changed in a large one. */
function version(number: 1 | 2): TreeNode[] {
  const large = Buffer.from(LARGE);
  if (number === 2) large[MIB] = large[MIB]! ^ 1;
  return [directory("app"), ...FILES, file("app/large", large), ...(number === 2 ? [file("app/new", NEW)] : [])];
}

async function machine(): Promise<Machine> {
  const made = await newMachine();
  onTestFinished(() => made[Symbol.asyncDispose]());
  return made;
}

async function layoutOf({ path }: Machine, image: KitImage, tag = "v1"): Promise<string> {
  await writeOciLayout(join(path, "start"), image, tag);
  return `oci:${path}/start:${tag}`;
}

const convert = async (on: Machine, ...args: readonly string[]): Promise<ConvertResult> =>
  (await on.ok("convert", ...CHUNKED, ...args)) as ConvertResult;

/** Files that are being made, and what is kept for whom. */
async function leftovers({ root }: Machine): Promise<unknown[]> {
  if (!existsSync(root)) return [];
  const files = (await readdir(root)).filter((name) => name.startsWith(".new-"));
  using database = new DatabaseSync(join(root, "meta.db"), { readOnly: true });
  const leases = database.prepare("SELECT * FROM leases").all();
  return [...files, ...leases, ...(await readdir(join(root, "ingest")))];
}

describe.skipIf(lacks("docker-registry", "skopeo"))(
  "an image converted from docker-registry to docker-registry",
  () => {
    async function registry(): Promise<DockerRegistry> {
      const made = await startDockerRegistry({});
      onTestFinished(() => made.close());
      return made;
    }

    it("is whole to skopeo, and a later version of it costs what changed", async () => {
      const [here, from, to] = [await machine(), await registry(), await registry()];
      const images = await Promise.all([1, 2].map((at) => buildImage({ layers: [version(at as 1 | 2)] })));
      for (const [at, image] of images.entries()) {
        await skopeoCopy(await layoutOf(here, image), `docker://${from.host}/app:v${at + 1}`);
        const result = await convert(
          here,
          `docker://${from.host}/app:v${at + 1}`,
          `docker://${to.host}/app:v${at + 1}`,
        );
        expect(result).toMatchObject({ status: "copied", warnings: [], layers: [{ how: "converted", refused: null }] });
        const name = `docker://${to.host}/app:v${at + 1}`;
        const raw = await skopeoRaw(name);
        expect(await skopeoManifest(name)).toMatchObject({
          config: { digest: image.config.digest },
          layers: [{ digest: result.layers[0]!.to, mediaType: expect.stringMatching(/\+zstd$/) }],
        });
        // skopeo hashes every blob that it copies.
        await skopeoCopy(name, `oci:${here.path}/back:v${at + 1}`, "--preserve-digests");
        expect((await skopeoRaw(`oci:${here.path}/back:v${at + 1}`)).equals(raw)).toBe(true);
        // What it reads is the image that it was.
        const again = await convert(here, `oci:${here.path}/back:v${at + 1}`, `oci:${here.path}/again:v${at + 1}`);
        expect(again).toMatchObject({ digest: result.digest, layers: [{ how: "kept" }] });
      }
      expect(existsSync(here.root) ? await here.images() : []).toEqual([]);
      await using reader = await machine();
      await reader.pull(`${to.host}/app:v1`);
      const update = await reader.pull(`${to.host}/app:v2`);
      expect(update).toMatchObject({
        imageId: images[1]!.config.digest,
        layers: [{ how: "zstd-chunked", fallbacks: [] }],
      });
      // The new file, the chunks about the byte, and the two tables.
      expect(update.layers[0]!.bytes.network).toBeLessThan(NEW.length + 300_000);
      expect(await leftovers(here)).toEqual([]);
    });
  },
);

describe("an image that is converted", () => {
  it("is the same in every process, with however many layers at once, and there already the second time", async () => {
    const here = await machine();
    const image = await buildImage({
      layers: [version(1), [file("b", rng.text(MIB / 2))], [file("c", rng.bytes(1000))]],
    });
    const source = await layoutOf(here, image);
    const own = await convert(here, source, `oci:${here.path}/own:v1`);
    for (const jobs of ["1", "8"]) {
      const to = `oci:${here.path}/jobs-${jobs}:v1`;
      const args = ["convert", "--json", "--progress", "none", "-j", jobs, ...CHUNKED, source, to];
      const { code, json } = await here.exec(args);
      expect(code).toBe(0);
      expect(json).toMatchObject({ digest: own.digest, layers: own.layers });
    }
    const name = `${(await kitRegistry()).host}/app:v1`;
    const pushed = (await here.ok("push", ...CHUNKED, source, name)) as CopyResult;
    expect(pushed.digest).toBe(own.digest);
    expect(await convert(here, source, `docker://${name}`)).toMatchObject({ status: "up-to-date", digest: own.digest });
  });

  it("lies in the store as others do, and is unpacked and checked like them", async () => {
    const here = await machine();
    const registry = await kitRegistry();
    const image = await buildImage({ layers: [version(1)] });
    await pushImage(registry.host, "app", "v1", image);
    await here.pull(`${registry.host}/app:v1`);
    const held = await convert(here, `${registry.host}/app:v1`, "app:chunked");
    expect(held.requests).toBe(0);
    const names = (await here.images()).map(({ name }) => name);
    expect(new Set(names)).toEqual(new Set([`${registry.host}/app:v1`, "docker.io/library/app:chunked"]));
    await here.ok("unpack", "app:chunked", join(here.path, "tree"));
    expect(await here.ok("fsck")).toMatchObject({ sound: true, findings: [] });
    expect(await storeFaults(here.root)).toEqual([]);
    expect(await leftovers(here)).toEqual([]);
  });

  async function kitRegistry(): Promise<Awaited<ReturnType<typeof startRegistry>>> {
    const made = await startRegistry();
    onTestFinished(() => made.close());
    return made;
  }
});

describe("a conversion that is stopped", () => {
  it.each(["SIGINT", "SIGKILL"] as const)("by %s leaves nothing behind", async (signal) => {
    const here = await machine();
    const image = await buildImage({
      compression: "none",
      layers: [1, 2].map((at) => [file(`a${at}`, rng.text(9 * MIB))]),
    });
    const source = await layoutOf(here, image);
    // Images of the store stay.
    await here.ok("copy", await layoutOf(here, await bulkImage(4, 1000), "small"), "small:1");
    for (const place of ["held:1", `oci-archive:${here.path}/to.tar`]) {
      const flags = ["--level", "19", "--progress", "json"];
      await using program = here.start(["convert", ...CHUNKED, ...flags, source, place]);
      await program.output(/"type":"unpack","digest"/);
      program.kill(signal);
      const { code, stderr } = await program.result;
      if (signal === "SIGINT") expect(code).toBe(130);
      if (signal === "SIGINT") expect(stderr).toContain("INTERRUPTED");
      expect((await readdir(here.path)).filter((name) => name.startsWith("to"))).toEqual([]);
      expect((await here.images()).map(({ name }) => name)).toEqual(["docker.io/library/small:1"]);
    }
    expect(await leftovers(here)).toEqual([]);
    expect(await storeFaults(here.root)).toEqual([]);
  });

  it("by a disk that is full tells so, and loses nothing", async (context) => {
    const here = await machine();
    const disk = mountTmpfs(here.root, "12m");
    if (disk === undefined) return context.skip("this user may not mount");
    onTestFinished(() => disk[Symbol.dispose]());
    const image = await bulkImage(5, 3 * MIB, 2 * MIB, 2 * MIB);
    await here.ok("copy", await layoutOf(here, image), "app:1");
    for (const place of ["app:chunked", `oci:${here.path}/to:1`]) {
      expect(await here.fails("convert", ...CHUNKED, "app:1", place)).toMatchObject({ code: "NO_SPACE", exit: 1 });
      expect(existsSync(join(here.path, "to"))).toBe(false);
      expect((await here.images()).map(({ name }) => name)).toEqual(["docker.io/library/app:1"]);
      expect(await storeFaults(here.root)).toEqual([]);
    }
    disk.grow("40m");
    expect(await convert(here, "app:1", "app:chunked")).toMatchObject({ status: "copied" });
    expect(await storeFaults(here.root)).toEqual([]);
    expect(await leftovers(here)).toEqual([]);
  });
});
