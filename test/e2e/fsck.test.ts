/** `varve fsck`: each kind of damage is found and told, and `--repair` mends it, fetching no more than what is broken. */
import { chmod, mkdir, readdir, readFile, rename, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, type Digest } from "../../src/oci/digest.ts";
import { fsckCommand } from "../../src/cli/commands/fsck.ts";
import { checkStore, openVarve, pull, type SnapshotterChoice, type StoreReport } from "../../src/index.ts";
import { buildImage, buildIndex, type KitImage } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { usableDrivers } from "../kit/snapshot/usable-drivers.ts";
import { diffTrees } from "../kit/trees/diff-trees.ts";
import { readTree } from "../kit/trees/read-tree.ts";
import { newMachine, type Machine } from "./machine.ts";
import { sampleImage, sampleLayers } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

let registry: KitRegistry;
let image: KitImage;
let other: KitImage;
const app = (): string => `${registry.host}/app:1`;

beforeAll(async () => {
  registry = await startRegistry();
  image = await sampleImage(1);
  const arm = await sampleImage(3, { platform: { os: "linux", architecture: "arm64" } });
  await pushImage(registry.host, "app", "1", buildIndex([image, arm]));
  other = await buildImage({ layers: sampleLayers(1).slice(0, 2), config: { Cmd: ["/other"] } });
  await pushImage(registry.host, "other", "1", other);
});
afterAll(() => registry.close());

async function pulled(snapshotter: SnapshotterChoice = "auto"): Promise<Machine> {
  const machine = await newMachine();
  await using varve = await openVarve({ root: machine.root, threads: 0, snapshotter });
  await pull(varve, app());
  await pull(varve, `${registry.host}/other:1`);
  registry.clearRequests();
  return machine;
}

/** As the command does it, without threads, which take longer to start than these images to check. */
async function fsck({ root }: Machine, ...args: string[]): Promise<StoreReport & { readonly exit: number }> {
  const repair = args.includes("--repair");
  await using varve = await openVarve({ root, threads: 0, store: { readOnly: !repair } });
  const images = args.filter((arg) => arg !== "--repair");
  const report = await checkStore(varve, { repair, images });
  return { ...report, exit: fsckCommand.exitCode?.(report) ?? 0 };
}

const blob = (machine: Machine, digest: Digest): string => join(machine.root, "blobs", digest.replace(":", "/"));

async function overwrite(path: string, change: (bytes: Buffer) => Uint8Array): Promise<void> {
  const bytes = await readFile(path);
  await chmod(path, 0o644);
  await writeFile(path, change(bytes));
}

function flip(bytes: Buffer): Buffer {
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

function query(machine: Machine, sql: string): void {
  const database = new DatabaseSync(join(machine.root, "meta.db"));
  database.exec(sql);
  database.close();
}

/** Finds exactly this, changes nothing by looking, mends it, and then finds nothing. */
async function expectMended(machine: Machine, ...kinds: string[]): Promise<void> {
  const found = await fsck(machine);
  expect(found).toMatchObject({ sound: false, exit: 5 });
  expect(found.findings.map(({ kind }) => kind).sort()).toEqual([...kinds].sort());
  expect(
    found.findings.every(
      ({ severity, message, repaired }) => severity === "error" && message !== "" && repaired === undefined,
    ),
  ).toBe(true);
  expect((await fsck(machine)).findings).toEqual(found.findings);

  const mended = await fsck(machine, "--repair");
  expect(mended.findings.filter(({ severity }) => severity === "error")).toEqual(
    expect.arrayContaining(kinds.map((kind) => expect.objectContaining({ kind, repaired: true }) as unknown)),
  );
  expect(mended).toMatchObject({ sound: true, exit: 0 });
  expect(await fsck(machine)).toMatchObject({ sound: true, exit: 0, findings: [] });
  expect(await storeFaults(machine.root)).toEqual([]);
  expect(await machine.images()).toHaveLength(2);
}

function blobGets(): string[] {
  return registry.requests
    .filter(({ method }) => method === "GET")
    .map(({ path }) => path)
    .filter((path) => path.includes("sha256:"))
    .map((path) => path.slice(path.indexOf("sha256:")));
}

describe("a sound store", () => {
  it("is found sound, and counted", async () => {
    await using machine = await pulled();
    const report = await fsck(machine);
    expect(report).toMatchObject({ sound: true, exit: 0, findings: [], checked: { images: 2, layers: 3 } });
    expect(report.checked.blobs).toBe((await readdir(join(machine.root, "blobs/sha256"))).length);
    expect(registry.requests).toEqual([]);
    const { stdout, code } = await machine.varve("fsck", "--progress", "none");
    expect(stdout).toMatch(/^checked 2 images, \d+ blobs \(.*\), 3 layers in .*\nsound\n$/);
    expect(code).toBe(0);
  });

  it("may be empty, or not there", async () => {
    await using machine = await newMachine();
    expect(await fsck(machine)).toMatchObject({ sound: true, exit: 0, checked: { blobs: 0 } });
    await expect(stat(machine.root)).rejects.toThrow("ENOENT");
    expect(await fsck(machine, "--repair")).toMatchObject({ sound: true, exit: 0 });
  });

  it("tells its progress", async () => {
    await using machine = await pulled();
    const { stderr } = await machine.varve("fsck", "--progress", "json");
    const events = stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string; digest: string });
    const verified = events.filter(({ type }) => type === "layer-verified").map(({ digest }) => digest);
    expect(verified).toEqual(expect.arrayContaining(image.layers.map(({ descriptor }) => descriptor.digest)));
    expect(events.some(({ type }) => type === "progress")).toBe(true);
  });
});

describe("damaged content", () => {
  it("a layer: only that is fetched", async () => {
    await using machine = await pulled();
    const { digest } = image.layers[1]!.descriptor;
    await overwrite(blob(machine, digest), flip);
    await expectMended(machine, "blob-damaged");
    expect(blobGets()).toEqual([digest]);
  });

  it.each(["config", "manifest", "root"])("a %s: only that is fetched", async (which) => {
    await using machine = await pulled();
    const { digest } = (await machine.images()).find(({ name }) => name === app())!;
    const spoiled = which === "config" ? image.config.digest : which === "manifest" ? image.digest : digest;
    await overwrite(blob(machine, spoiled), flip);
    await expectMended(machine, "blob-damaged");
    expect(blobGets()).toEqual([spoiled]);
  });

  it.each(["empty", "short", "missing", "a directory"])("%s files after a power loss", async (how) => {
    await using machine = await pulled();
    const digests = [image.layers[0]!.descriptor.digest, image.config.digest, image.digest];
    for (const digest of digests) {
      const path = blob(machine, digest);
      if (how === "empty") await truncate(path, 0);
      else if (how === "short") await truncate(path, (await stat(path)).size - 1);
      else await rm(path);
      if (how === "a directory") await mkdir(path);
    }
    const kind = { empty: "blob-truncated", missing: "blob-missing" }[how] ?? "blob-damaged";
    const found = await fsck(machine);
    // Without the manifest nobody knows of the config; the layer is the other image's, too.
    expect(found.findings.length).toBeGreaterThanOrEqual(2);
    expect(new Set(found.findings.filter(({ severity }) => severity === "error").map(({ kind }) => kind))).toEqual(
      new Set([kind]),
    );
    expect(found.exit).toBe(5);
    expect(await fsck(machine, "--repair")).toMatchObject({ sound: true, exit: 0 });
    expect(blobGets().sort()).toEqual([...digests].sort());
    expect(await fsck(machine)).toMatchObject({ sound: true, findings: [] });
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("of one image is mended when that is named, and others' is left", async () => {
    await using machine = await pulled();
    await overwrite(blob(machine, image.layers[2]!.descriptor.digest), flip);
    await overwrite(blob(machine, other.config.digest), flip);
    const name = `${registry.host}/other:1`;
    const report = await fsck(machine, "--repair", name);
    expect(report).toMatchObject({ sound: true, checked: { images: 1 } });
    expect(report.findings).toMatchObject([{ digest: other.config.digest, image: name, repaired: true }]);
    expect(await fsck(machine, app())).toMatchObject({
      sound: false,
      findings: [{ digest: image.layers[2]!.descriptor.digest }],
    });
    expect(await machine.fails("fsck", "nobody:1")).toMatchObject({ code: "IMAGE_NOT_FOUND", exit: 3 });
  });

  it("that nobody needs is taken away", async () => {
    await using machine = await pulled();
    const digest = digestOf("nobody's");
    await writeFile(blob(machine, digest), "other bytes");
    await expectMended(machine, "blob-damaged");
    await expect(stat(blob(machine, digest))).rejects.toThrow("ENOENT");
  });

  it("that no registry has any more is told, taken away, and does not keep the rest from being mended", async () => {
    await using machine = await pulled();
    const gone = await sampleImage(9);
    await pushImage(registry.host, "gone", "1", gone);
    await machine.pull(`${registry.host}/gone:1`);
    await removeFromRegistry(gone.layers[0]!.descriptor.digest);
    await overwrite(blob(machine, gone.layers[0]!.descriptor.digest), flip);
    await overwrite(blob(machine, image.layers[1]!.descriptor.digest), flip);
    const report = await fsck(machine, "--repair");
    expect(report).toMatchObject({ sound: false, exit: 5 });
    const byDigest = new Map(report.findings.map((finding) => [finding.digest, finding]));
    expect(byDigest.get(gone.layers[0]!.descriptor.digest)).toMatchObject({
      repaired: false,
      image: `${registry.host}/gone:1`,
    });
    expect(byDigest.get(gone.layers[0]!.descriptor.digest)?.message).toContain("not mended: ");
    expect(byDigest.get(image.layers[1]!.descriptor.digest)).toMatchObject({ repaired: true });
    const { stdout } = await machine.varve("fsck", "--progress", "none");
    expect(stdout).toMatch(/^error: blob-missing: .*\n(.*\n)*1 fault found\n$/);
  });

  it("that is wrong since it was pushed cannot be mended: a layer that is not what its config says", async () => {
    await using machine = await newMachine();
    const liar = await buildImage({
      layers: sampleLayers(5),
      lies: { layers: { 1: { diffId: digestOf("lie") } } },
    });
    await pushImage(registry.host, "liar", "1", liar);
    await machine.ok("pull", "--no-unpack", `${registry.host}/liar:1`);
    registry.clearRequests();
    const report = await fsck(machine, "--repair");
    expect(report).toMatchObject({ sound: false, findings: [{ kind: "diffid-mismatch", repaired: false }] });
    expect(registry.requests).toEqual([]);
  });
});

async function removeFromRegistry(digest: Digest): Promise<void> {
  const hex = digest.slice(digest.indexOf(":") + 1);
  for (const entry of await readdir(registry.dir, { recursive: true, withFileTypes: true })) {
    if (entry.name.includes(hex)) await rm(join(entry.parentPath, entry.name), { recursive: true, force: true });
  }
}

describe("damaged metadata", () => {
  it.each(["missing", "empty", "garbage", "another image", "a lost image"])("index.json: %s", async (how) => {
    await using machine = await pulled();
    const path = join(machine.root, "index.json");
    if (how === "missing") await rm(path);
    else if (how === "empty") await truncate(path, 0);
    else if (how === "garbage") await writeFile(path, '{"manifests": [');
    else {
      const index = JSON.parse(await readFile(path, "utf8")) as { manifests: { digest: string }[] };
      if (how === "another image") index.manifests[0]!.digest = digestOf("another");
      else index.manifests.shift();
      await writeFile(path, JSON.stringify(index));
    }
    const before = await readFile(path).catch(() => undefined);
    expect(await fsck(machine)).toMatchObject({ exit: 5, findings: [{ kind: "index" }] });
    expect(await readFile(path).catch(() => undefined)).toEqual(before);
    await expectMended(machine, "index");
    expect(registry.requests).toEqual([]);
  });

  it("what is recorded of a layer and is not so", async () => {
    await using machine = await pulled();
    query(
      machine,
      `UPDATE layers SET diff_id = '${digestOf("lie")}' WHERE digest = '${image.layers[0]!.descriptor.digest}'`,
    );
    await expectMended(machine, "layer-record");
    expect(registry.requests).toEqual([]);
  });

  it("a row of an image that makes no sense is put right from index.json", async () => {
    await using machine = await pulled();
    const before = (await machine.images()).map(({ name, digest, imageId }) => ({ name, digest, imageId }));
    query(machine, `UPDATE images SET manifest = 'nonsense' WHERE name = '${app()}'`);
    await expectMended(machine, "image-record");
    expect((await machine.images()).map(({ name, digest, imageId }) => ({ name, digest, imageId }))).toEqual(before);
  });

  it.each(["garbage", "an empty file", "gone", "a broken page"])(
    "a database that is %s is made again from index.json",
    async (how) => {
      // Of what is unpacked more below.
      await using machine = await pulled("none");
      const before = (await machine.images()).map(({ name, digest, imageId }) => ({ name, digest, imageId }));
      const path = join(machine.root, "meta.db");
      query(machine, "PRAGMA journal_mode = DELETE");
      if (how === "garbage") await writeFile(path, Buffer.alloc(20_000, "varve"));
      else if (how === "an empty file") await truncate(path, 0);
      else if (how === "gone") await rm(path);
      else {
        await overwrite(path, (bytes) => {
          bytes.fill(0x5a, 4096, 4096 * 4);
          return bytes;
        });
      }
      await expectMended(machine, "database");
      expect((await machine.images()).map(({ name, digest, imageId }) => ({ name, digest, imageId }))).toEqual(before);
      expect(registry.requests).toEqual([]);
      const aside = (await readdir(machine.root)).filter((name) => name.includes("damaged"));
      expect(aside).toEqual(how === "garbage" || how === "a broken page" ? ["meta.db.damaged"] : []);
    },
  );

  it("an oci-layout that a power loss emptied is told, and made anew", async () => {
    await using machine = await pulled();
    await truncate(join(machine.root, "oci-layout"), 0);
    expect(await fsck(machine)).toMatchObject({ exit: 5, findings: [{ kind: "layout" }] });
    expect(await fsck(machine, "--repair")).toMatchObject({ exit: 0 });
    expect(await fsck(machine)).toMatchObject({ exit: 0, findings: [] });
    expect(await storeFaults(machine.root)).toEqual([]);
  });
});

const DRIVERS = await usableDrivers();

/** Paths of snapshots in the store, below their folders. */
async function inSnapshots(machine: Machine, name: string): Promise<string[]> {
  const below = await readdir(join(machine.root, "snapshots"), { recursive: true });
  return below.filter((path) => path.endsWith(`/${name}`)).map((path) => join(machine.root, "snapshots", path));
}

describe("what is unpacked", () => {
  const layer = (machine: Machine, at: number, name: string): string =>
    join(machine.root, "layers", image.layers[at]!.diffId.replace(":", "/"), name);

  it.for(["layer.tar", "index.erofs", "layer.json"])(
    "a damaged %s of a layer is made again from what is here",
    async (name, context) => {
      if (!DRIVERS.includes("erofs")) return context.skip("no EROFS can be mounted here");
      await using machine = await pulled("erofs");
      await overwrite(layer(machine, 0, name), flip);
      await expectMended(machine, "layer-damaged");
      expect(registry.requests).toEqual([]);
    },
  );

  it("a layer that is gone is made again, and fetched when its blob is gone too", async (context) => {
    if (!DRIVERS.includes("erofs")) return context.skip("no EROFS can be mounted here");
    await using machine = await pulled("erofs");
    await rm(join(layer(machine, 0, "."), "."), { recursive: true });
    await expectMended(machine, "layer-damaged");
    expect(registry.requests).toEqual([]);
    await rm(layer(machine, 1, "layer.tar"));
    await rm(blob(machine, image.layers[1]!.descriptor.digest));
    await expectMended(machine, "layer-damaged", "blob-missing");
    expect(blobGets()).toEqual([image.layers[1]!.descriptor.digest]);
  });

  it("the index of a chain is made again when it is mounted", async (context) => {
    if (!DRIVERS.includes("erofs")) return context.skip("no EROFS can be mounted here");
    await using machine = await pulled("erofs");
    const [index = ""] = await inSnapshots(machine, "index.erofs");
    await overwrite(index, flip);
    await expectMended(machine, "index-damaged");
  });

  it.for(DRIVERS)("a snapshot of %s that is gone is made again, as it was", async (driver) => {
    await using machine = await pulled(driver);
    const folders = await readdir(join(machine.root, "snapshots"));
    const before = await readTree(join(machine.root, "snapshots"));
    await rm(join(machine.root, "snapshots", folders[1] ?? ""), { recursive: true });
    await expectMended(machine, "snapshot-missing");
    if (driver === "erofs") return;
    const ignore = /^"(\d+(\/layer\.json|\/fs\/etc\/gone)?)?": mtime/;
    const changes = diffTrees(before, await readTree(join(machine.root, "snapshots")));
    expect(changes.filter((line) => !ignore.test(line))).toEqual([]);
  });

  it("a tree that changed is found out and made again", async (context) => {
    if (!DRIVERS.includes("overlay")) return context.skip("no overlay can be mounted here");
    await using machine = await pulled("overlay");
    const [passwd = ""] = await inSnapshots(machine, "passwd");
    const before = await readFile(passwd, "utf8");
    await overwrite(passwd, flip);
    await expectMended(machine, "snapshot-damaged");
    expect(await readFile(passwd, "utf8")).toBe(before);
    await rm(passwd);
    await expectMended(machine, "snapshot-damaged");
    expect(registry.requests).toEqual([]);
  });

  it.for(DRIVERS)("of %s needs no blobs that were given up, and gets them to mend itself", async (driver) => {
    await using machine = await newMachine();
    const reference = app();
    await machine.pull("--snapshotter", driver, "--discard-blobs", reference);
    registry.clearRequests();
    expect(await fsck(machine)).toMatchObject({ sound: true, findings: [] });
    const folder = driver === "erofs" ? join(layer(machine, 2, "."), ".") : join(machine.root, "snapshots", "3");
    await rm(folder, { recursive: true });
    const kind = driver === "erofs" ? "layer-damaged" : "snapshot-missing";
    expect((await fsck(machine)).findings).toMatchObject([{ kind }]);
    expect(await fsck(machine, "--repair")).toMatchObject({ sound: true, findings: [{ kind, repaired: true }] });
    expect(blobGets()).toHaveLength(1);
    expect(await fsck(machine)).toMatchObject({ sound: true, findings: [] });
  });

  it("is nobody's when the database is lost, and goes; pulling unpacks the image again", async () => {
    await using machine = await pulled();
    await rm(join(machine.root, "meta.db"));
    for (const end of ["-wal", "-shm"]) await rm(join(machine.root, `meta.db${end}`), { force: true });
    expect(await fsck(machine, "--repair")).toMatchObject({ sound: true });
    await machine.ok("gc");
    expect(await machine.pull(app())).toMatchObject({ status: "pulled", bytes: { local: 0 } });
    expect(await fsck(machine)).toMatchObject({ sound: true, findings: [] });
  });
});

describe("leftovers", () => {
  it("are told, are nothing wrong, and gc or --repair takes those away that are surely nobody's", async () => {
    await using machine = await pulled();
    await writeFile(blob(machine, digestOf("nobody's")), "nobody's");
    await writeFile(join(machine.root, "blobs/sha256/README"), "mine");
    await writeFile(join(machine.root, "locks", `${digestOf("dead").replace(":", "-")}.lock`), "");
    query(machine, `INSERT INTO layers VALUES ('${digestOf("gone")}', '${digestOf("x")}', 'x', 1, 1, 1, 1, NULL)`);
    const partial = join(machine.root, "ingest", digestOf("partial").replace(":", "-"));
    await mkdir(partial);
    await writeFile(join(partial, "data"), "x");
    const old = new Date(Date.now() - 8 * 86_400_000);
    for (const path of [join(partial, "data"), partial]) await utimes(path, old, old);
    const report = await fsck(machine);
    expect(report).toMatchObject({ sound: true, exit: 0 });
    expect(report.findings.map(({ kind, severity }) => `${severity} ${kind}`).sort()).toEqual([
      "note blob-unreferenced",
      "note file-unknown",
      "note lock-stale",
      "note partial-stale",
      "note record-unused",
    ]);
    const { stdout } = await machine.varve("fsck", "--progress", "none");
    expect(stdout).toMatch(/^note: (.*\n)+sound\n$/);
    expect(await fsck(machine, "--repair")).toMatchObject({ sound: true, exit: 0 });
    await machine.ok("gc");
    expect((await fsck(machine)).findings).toMatchObject([
      { kind: "file-unknown", path: join(machine.root, "blobs/sha256/README") },
    ]);
  });

  it("of a running process are its own", async () => {
    await using machine = await pulled();
    await rename(join(machine.root, "locks/index.lock"), join(machine.root, "locks/x"));
    expect((await fsck(machine)).findings).toEqual([]);
  });
});
