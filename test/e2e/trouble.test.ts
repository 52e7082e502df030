/** What goes wrong around a pull: names, networks, disks. Each is one coded line with a hint, and breaks nothing. */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildIndex } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { startFaultProxy } from "../kit/faults/fault-proxy.ts";
import type { Fault } from "../kit/faults/fault.ts";
import { freePort } from "../kit/peers/free-port.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { makeCertificate, type CertificateOptions } from "../kit/tls/certificate.ts";
import { newMachine, type Machine } from "./machine.ts";
import { bulkImage, sampleImage } from "./samples.ts";
import { storeFaults } from "./store-health.ts";
import { mountTmpfs } from "./tmpfs.ts";

let registry: KitRegistry;
beforeAll(async () => {
  registry = await startRegistry();
  await pushImage(registry.host, "app", "1", await sampleImage());
});
afterAll(() => registry.close());

const app = (): string => `${registry.host}/app:1`;

/** After trouble: what is in the store is listed and sound, and an honest registry is pulled from. */
async function expectRecovered(machine: Machine): Promise<void> {
  expect(await machine.images()).toEqual([]);
  expect(await storeFaults(machine.root)).toEqual([]);
  expect(await machine.pull(app())).toMatchObject({ status: "pulled" });
  expect(await storeFaults(machine.root)).toEqual([]);
}

describe("an image that is not there", () => {
  it.each(["app:2", "nobody/nothing:1"])("%s is MANIFEST_UNKNOWN", async (name) => {
    await using machine = await newMachine();
    const { stdout, stderr, code } = await machine.varve("pull", "--progress", "none", `${registry.host}/${name}`);
    expect(code).toBe(3);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^varve: MANIFEST_UNKNOWN: [^\n]*\nhint: [^\n]+\n$/);
    expect(stderr).toContain(`${registry.host}/${name}`);
    await expectRecovered(machine);
  });

  it("for a platform lists those there are", async () => {
    await using machine = await newMachine();
    const arm = await sampleImage(2, { platform: { os: "linux", architecture: "arm64" } });
    await pushImage(registry.host, "many", "1", buildIndex([await sampleImage(), arm]));
    const many = await machine.fails("pull", "--platform", "linux/s390x", `${registry.host}/many:1`);
    expect(many).toMatchObject({ code: "PLATFORM_NOT_FOUND", exit: 3 });
    expect(many.message + many.hint).toMatch(/linux\/amd64.*linux\/arm64/);
    const one = await machine.fails("pull", "--platform", "linux/s390x", app());
    expect(one).toMatchObject({ code: "PLATFORM_NOT_FOUND", exit: 3, hint: "use --platform linux/amd64" });
    await expectRecovered(machine);
  });

  it.each(["UPPER/case", "a b", "", "https://example.com/x", "app@sha256:123", "app:", "/app", "app//x"])(
    "%j is no reference",
    async (text) => {
      await using machine = await newMachine();
      expect(await machine.fails("pull", text)).toMatchObject({ code: "REFERENCE_INVALID", exit: 2 });
      expect(existsSync(machine.root)).toBe(false);
    },
  );
});

describe("a registry that cannot be talked to", () => {
  const HOUR = 3_600_000;
  const certificates: [string, CertificateOptions, RegExp][] = [
    ["signed by itself", {}, /--ca-file/],
    ["of another host", { names: ["registry.example"] }, /--ca-file|--insecure/],
    [
      "expired",
      { notAfter: new Date(Date.now() - HOUR), notBefore: new Date(Date.now() - 2 * HOUR) },
      /certificate|--ca/,
    ],
  ];
  it.each(certificates)("because its certificate is %s is REGISTRY_TLS", async (_, options, hint) => {
    await using machine = await newMachine();
    await using secure = await startRegistry({ tls: makeCertificate(options) });
    const error = await machine.fails("pull", `${secure.host}/app:1`);
    expect(error).toMatchObject({ code: "REGISTRY_TLS", exit: 1, hint: expect.stringMatching(hint) });
    expect(secure.requests).toEqual([]);
    await expectRecovered(machine);
  });

  it("because nobody listens is REGISTRY_UNREACHABLE", async () => {
    await using machine = await newMachine();
    const host = `127.0.0.1:${await freePort()}`;
    const error = await machine.fails("pull", "--retries", "0", `${host}/app:1`);
    expect(error).toMatchObject({ code: "REGISTRY_UNREACHABLE", exit: 1 });
    expect(error.message).toContain(`${host}: connection refused`);
    await expectRecovered(machine);
  });

  const faults: [string, Fault, string, number][] = [
    ["fails", { kind: "status", status: 503 }, "REGISTRY_UNAVAILABLE", 1],
    ["limits the rate", { kind: "status", status: 429 }, "REGISTRY_RATE_LIMITED", 1],
    ["denies access", { kind: "status", status: 403 }, "DENIED", 4],
    ["demands an account in no way", { kind: "status", status: 401 }, "UNAUTHORIZED", 4],
    ["talks nonsense", { kind: "status", status: 299 }, "REGISTRY_PROTOCOL", 1],
    ["is no HTTP server", { kind: "garbage" }, "REGISTRY_PROTOCOL", 1],
    ["hangs up", { kind: "reset" }, "REGISTRY_UNREACHABLE", 1],
    ["sends its clients in a circle", { kind: "redirect", to: "" }, "REGISTRY_PROTOCOL", 1],
  ];
  it.each(faults)("because it %s is told so", async (_, fault, code, exit) => {
    await using machine = await newMachine();
    await using proxy = await startFaultProxy({ target: registry.host, rules: [{ fault }] });
    expect(await machine.fails("pull", "--retries", "0", `${proxy.host}/app:1`)).toMatchObject({ code, exit });
    await expectRecovered(machine);
    // The same when only the layers' requests go wrong.
    await using second = await newMachine();
    proxy.setRules([{ path: /\/blobs\//, fault }]);
    expect(await second.fails("pull", "--retries", "0", `${proxy.host}/app:1`)).toMatchObject({ code, exit });
    await expectRecovered(second);
  });
});

describe("a place that cannot be the store", () => {
  it("because a file is in the way", async () => {
    await using machine = await newMachine();
    await writeFile(machine.root, "a file");
    expect(await machine.fails("pull", app())).toMatchObject({ code: "PATH_INVALID", exit: 2 });
    expect(await readFile(machine.root, "utf8")).toBe("a file");
  });

  it("because it holds other things", async () => {
    await using machine = await newMachine();
    await mkdir(machine.root);
    await writeFile(join(machine.root, "thesis.txt"), "years of work");
    for (const command of [["pull", app()], ["images"]]) {
      expect(await machine.fails(...command)).toMatchObject({ code: "TARGET_NOT_EMPTY", exit: 2 });
    }
    expect(await readdir(machine.root)).toEqual(["thesis.txt"]);
  });

  it("because a newer varve made it, and which is then left as it is", async () => {
    await using machine = await newMachine();
    await machine.pull(app());
    const version = (change: (now: number) => number): void => {
      using database = new DatabaseSync(join(machine.root, "meta.db"));
      const now = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
      database.exec(`PRAGMA user_version = ${change(now)}`);
    };
    version((now) => now + 1);
    const tree = join(machine.path, "tree");
    for (const command of [["pull", app()], ["images"], ["unpack", app(), tree], ["rm", app()]]) {
      const error = await machine.fails(...command);
      expect(error).toMatchObject({ code: "STORE_NEWER", exit: 1, hint: expect.stringContaining("update varve") });
    }
    version((now) => now - 1);
    expect(await machine.images()).toHaveLength(1);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("because it is read-only; reading goes on", async (context) => {
    await using machine = await newMachine();
    using disk = mountTmpfs(machine.root, "8m");
    if (disk === undefined) return context.skip("this user may not mount");
    await machine.pull(app());
    await pushImage(registry.host, "more", "1", await sampleImage(2));
    disk.makeReadOnly();
    const error = await machine.fails("pull", `${registry.host}/more:1`);
    expect(error).toMatchObject({ code: "STORE_READ_ONLY", exit: 1, hint: expect.stringContaining("--root") });
    expect(await machine.images()).toHaveLength(1);
    await machine.ok("unpack", app(), join(machine.path, "tree"));
    expect(await machine.pull("--plan", `${registry.host}/more:1`)).toMatchObject({ status: "planned" });
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("because it is full; nothing that was there is harmed, and what fits is pulled", async (context) => {
    await using machine = await newMachine({ VARVE_SNAPSHOTTER: "none" });
    using disk = mountTmpfs(machine.root, "4m");
    if (disk === undefined) return context.skip("this user may not mount");
    await pushImage(registry.host, "big", "1", await bulkImage(3, 6_000_000, 100_000));
    const big = `${registry.host}/big:1`;
    const error = await machine.fails("pull", big);
    expect(error).toMatchObject({ code: "NO_SPACE", exit: 1, hint: expect.stringMatching(/varve gc.*--root/) });
    expect(error.message).toMatch(/6\.\d+ MB are needed, [34]\.\d+ MB are free, [23]\.\d+ MB are missing$/);
    expect(await machine.images()).toEqual([]);
    expect(await storeFaults(machine.root)).toEqual([]);
    disk.grow("16m");
    expect(await machine.pull(big)).toMatchObject({ status: "pulled" });
    expect(await storeFaults(machine.root)).toEqual([]);
  });
});

describe("unpacking", () => {
  it("what is not in the store makes no directory", async () => {
    await using machine = await newMachine();
    const tree = join(machine.path, "tree");
    expect(await machine.fails("unpack", "nothing:1", tree)).toMatchObject({ code: "IMAGE_NOT_FOUND", exit: 3 });
    expect(existsSync(tree)).toBe(false);
    await expectRecovered(machine);
  });

  it("into a directory that is not empty leaves it alone", async () => {
    await using machine = await newMachine();
    await machine.pull(app());
    const tree = join(machine.path, "tree");
    await mkdir(tree);
    await writeFile(join(tree, "kept"), "kept");
    expect(await machine.fails("unpack", app(), tree)).toMatchObject({ code: "TARGET_NOT_EMPTY", exit: 2 });
    expect(await readdir(tree)).toEqual(["kept"]);
    expect(await machine.fails("unpack", app(), join(tree, "kept"))).toMatchObject({ exit: expect.any(Number) });
    expect(await readFile(join(tree, "kept"), "utf8")).toBe("kept");
  });

  it("onto a full disk takes away what it made", async (context) => {
    await using machine = await newMachine();
    const small = join(machine.path, "small");
    using disk = mountTmpfs(small, "1m");
    if (disk === undefined) return context.skip("this user may not mount");
    await pushImage(registry.host, "large", "1", await bulkImage(4, 3_000_000));
    await machine.pull(`${registry.host}/large:1`);
    const error = await machine.fails("unpack", `${registry.host}/large:1`, join(small, "tree"));
    expect(error).toMatchObject({ code: "NO_SPACE", exit: 1 });
    expect(await readdir(small)).toEqual([]);
    await machine.ok("unpack", `${registry.host}/large:1`, join(machine.path, "tree"));
  });
});

describe("removing", () => {
  it("what is not there removes nothing, also not what was named beside it", async () => {
    await using machine = await newMachine();
    expect(await machine.fails("rm", "nothing:1")).toMatchObject({ code: "IMAGE_NOT_FOUND", exit: 3 });
    await machine.pull(app());
    expect(await machine.fails("rm", app(), "nothing:1")).toMatchObject({ code: "IMAGE_NOT_FOUND", exit: 3 });
    expect(await machine.images()).toHaveLength(1);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("takes out what no other image needs, and the image can be pulled again", async () => {
    await using machine = await newMachine();
    await machine.pull(app());
    await machine.ok("tag", app(), "again:1");
    expect(await machine.ok("rm", app())).toMatchObject({ deleted: [], freedBytes: 0 });
    expect(await machine.ok("rm", "again:1")).toMatchObject({ freedBytes: expect.any(Number) });
    expect(await machine.ok("df")).toMatchObject({ blobs: { count: 0, bytes: 0 }, images: { count: 0 } });
    await expectRecovered(machine);
  });
});
