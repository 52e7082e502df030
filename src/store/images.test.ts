import { spawnSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { putImage, type PutImage } from "../../test/kit/store/put-image.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import { tagOf } from "./image-record.ts";
import { openStore } from "./store.ts";

const REF = "org.opencontainers.image.ref.name";
interface IndexEntry {
  mediaType: string;
  digest: string;
  platform?: unknown;
  annotations: Record<string, string>;
}

async function indexOf(root: string): Promise<IndexEntry[]> {
  return (JSON.parse(await readFile(join(root, "index.json"), "utf8")) as { manifests: IndexEntry[] }).manifests;
}

async function refs(root: string): Promise<Record<string, string>> {
  return Object.fromEntries((await indexOf(root)).map(({ annotations, digest }) => [annotations[REF], digest]));
}

describe("images", () => {
  it("are names for what was pulled, and remember when", async () => {
    await using dir = await tempDir();
    let now = 1000;
    await using store = await openStore(dir.path, { clock: () => now });
    const name = "docker.io/library/debian:12";
    const first = await putImage(store, name, { text: "one" });
    expect(await store.images.get(name)).toEqual({
      ...first.entry,
      createdAt: new Date(1000),
      updatedAt: new Date(1000),
    });
    now = 2000;
    const second = await putImage(store, name, { text: "two", index: true });
    const record = { ...second.entry, createdAt: new Date(1000), updatedAt: new Date(2000) };
    expect(await store.images.list()).toEqual([record]);
    expect(record.manifest.digest).not.toBe(record.descriptor.digest);
    expect(await store.images.get("docker.io/library/debian:11")).toBeUndefined();
  });

  it("are taken out all or none", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await putImage(store, "a.example/x:1");
    await putImage(store, "b.example/x:2");
    await expect(store.images.delete("a.example/x:1", "nobody.example/x:1")).rejects.toMatchObject({
      code: "IMAGE_NOT_FOUND",
    });
    expect(await store.images.list()).toHaveLength(2);
    await store.images.delete("a.example/x:1", "b.example/x:2");
    expect(await store.images.list()).toEqual([]);
    expect(await indexOf(dir.path)).toEqual([]);
  });

  it.each(["", "two words", "line\nbreak", "x".repeat(2000)])("are not called %j", async (name) => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const descriptor = { mediaType: "text/plain", digest: digestOf("x"), size: 1 };
    await expect(store.images.put({ name, descriptor })).rejects.toMatchObject({ code: "REFERENCE_INVALID" });
  });
});

describe("index.json", () => {
  it.each([
    ["docker.io/library/debian:12", "12"],
    ["localhost:5000/a/b:v1.0", "v1.0"],
    ["localhost:5000/a/b", undefined],
    [`localhost:5000/a/b@${digestOf("x")}`, undefined],
    [`docker.io/a/b:7@${digestOf("x")}`, "7"],
  ])("knows the tag of %s", (name, tag) => {
    expect(tagOf(name)).toBe(tag);
  });

  it("names each image in full, as pulled, and by its tag, as one manifest", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const { entry } = await putImage(store, "docker.io/library/debian:12", { index: true });
    expect(await refs(dir.path)).toEqual({
      "docker.io/library/debian:12": entry.descriptor.digest,
      "12": entry.manifest.digest,
    });
    expect((await indexOf(dir.path))[1]?.platform).toEqual({ os: "linux", architecture: "amd64" });
  });

  it("gives a tag that several images share to the one pulled last", async () => {
    await using dir = await tempDir();
    let now = 0;
    await using store = await openStore(dir.path, { clock: () => ++now });
    const a = await putImage(store, "a.example/x:latest", { text: "a" });
    const b = await putImage(store, "b.example/x:latest", { text: "b" });
    expect((await refs(dir.path))["latest"]).toBe(b.entry.manifest.digest);
    await store.images.put(a.entry);
    expect((await refs(dir.path))["latest"]).toBe(a.entry.manifest.digest);
    await store.images.touch("b.example/x:latest");
    expect((await refs(dir.path))["latest"]).toBe(b.entry.manifest.digest);
    await store.images.touch("a.example/x:latest");
    expect((await refs(dir.path))["latest"]).toBe(a.entry.manifest.digest);
    await store.images.delete("a.example/x:latest");
    expect(await refs(dir.path)).toEqual({
      "b.example/x:latest": b.entry.descriptor.digest,
      latest: b.entry.manifest.digest,
    });
  });

  it("keeps what other tools wrote into it", async () => {
    await using dir = await tempDir();
    const theirs = {
      mediaType: "text/plain",
      digest: digestOf("theirs"),
      size: 6,
      annotations: { [REF]: "latest" },
      more: [1],
    };
    const nameless = { mediaType: "text/plain", digest: digestOf("nameless"), size: 8 };
    await writeFile(join(dir.path, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
    await writeFile(join(dir.path, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [theirs, nameless] }));
    await using store = await openStore(dir.path);
    await putImage(store, "a.example/x:latest");
    const entries = await indexOf(dir.path);
    expect(entries.map((entry) => entry.annotations?.[REF])).toEqual(["a.example/x:latest", "latest", undefined]);
    expect(entries.slice(1)).toEqual([theirs, nameless]);
    await store.images.delete("a.example/x:latest");
    expect(await indexOf(dir.path)).toEqual([theirs, nameless]);
  });

  it.each(["", "{", "[]", '{"manifests":7}', "\u0000"])("is made anew when it is broken: %j", async (text) => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await writeFile(join(dir.path, "index.json"), text);
    await putImage(store, "a.example/x:1");
    expect(Object.keys(await refs(dir.path))).toEqual(["1", "a.example/x:1"]);
  });

  it("is brought up to date by the next process after a crash between the database and it", async () => {
    await using dir = await tempDir();
    {
      await using store = await openStore(dir.path);
      await putImage(store, "a.example/x:1");
    }
    const database = new DatabaseSync(join(dir.path, "meta.db"));
    database.exec(
      "UPDATE images SET name = 'a.example/x:2'; UPDATE state SET value = value + 1 WHERE key = 'index_wanted'",
    );
    database.close();
    expect(Object.keys(await refs(dir.path))).toEqual(["1", "a.example/x:1"]);
    await using store = await openStore(dir.path);
    await store.images.list();
    expect(Object.keys(await refs(dir.path))).toEqual(["2", "a.example/x:2"]);
  });
});

const skopeo = findPeer("skopeo");
const umoci = findPeer("umoci");
const shapes: [string, PutImage][] = [
  ["a manifest", {}],
  ["an index of which one platform is here", { index: true }],
];

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

describe.skipIf(skopeo === undefined)("skopeo on the store as it stands", () => {
  it.each(shapes)("inspects and copies %s, by full name and by tag", async (_, shape) => {
    await using dir = await tempDir();
    const root = join(dir.path, "store");
    await using store = await openStore(root);
    const { entry } = await putImage(store, "docker.io/library/debian:12", shape);
    await putImage(store, "localhost:5000/a-b/c_d:v1", { text: "another" });
    const raw = (ref: string): string => digestOf(run(skopeo!, "inspect", "--raw", `oci:${root}:${ref}`));
    expect(raw("docker.io/library/debian:12")).toBe(entry.descriptor.digest);
    expect(raw("12")).toBe(entry.manifest.digest);
    expect(raw("localhost:5000/a-b/c_d:v1")).toBe(raw("v1"));
    for (const ref of ["docker.io/library/debian:12", "12"]) {
      const inspected = JSON.parse(run(skopeo!, "--override-arch", "amd64", "inspect", `oci:${root}:${ref}`)) as {
        Layers: [];
      };
      expect(inspected.Layers).toHaveLength(1);
      const target = join(dir.path, `copy-${ref.length}`);
      await mkdir(target);
      run(skopeo!, "--insecure-policy", "--override-arch", "amd64", "copy", `oci:${root}:${ref}`, `dir:${target}`);
    }
  });
});

describe.skipIf(umoci === undefined)("umoci on the store as it stands", () => {
  it.each(shapes)("lists and unpacks %s by its tag", async (_, shape) => {
    await using dir = await tempDir();
    const root = join(dir.path, "store");
    await using store = await openStore(root);
    await putImage(store, "docker.io/library/debian:12", shape);
    expect(run(umoci!, "ls", "--layout", root).trim().split("\n")).toEqual(["docker.io/library/debian:12", "12"]);
    run(umoci!, "unpack", "--rootless", "--image", `${root}:12`, join(dir.path, "bundle"));
    expect(await readFile(join(dir.path, "bundle/rootfs/hello.txt"), "utf8")).toBe("hello");
  });
});
