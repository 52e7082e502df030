/**
 * Machines' disks as users import and push them, to Debian's docker-registry: what lies there is what Tart's format says (formats "tart" §1 to §3), by plain requests
 * and with liblz4 as decoder.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { CopyResult } from "../../src/transfer/copy.ts";
import type { ImportResult } from "../../src/transfer/disks/import-disk.ts";
import { decodeWithLz4 } from "../codec/apple-lz4/frames.ts";
import { someVmConfig } from "../kit/disk/tart-image.ts";
import { startDockerRegistry, type DockerRegistry } from "../kit/peers/docker-registry.ts";
import { noise } from "../kit/recipe/random-recipe.ts";
import { newMachine, type Machine } from "./machine.ts";
import { lacks } from "./peers/programs.ts";

const MIB = 1 << 20;

interface Setting {
  readonly machine: Machine;
  readonly registry: DockerRegistry;
  /** A machine's directory, and its disk. */
  readonly path: string;
  readonly disk: Buffer;
}

async function setUp(): Promise<Setting> {
  const machine = await newMachine({ SOURCE_DATE_EPOCH: "1787037360" });
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const registry = await startDockerRegistry();
  onTestFinished(() => registry.close());
  const path = join(machine.path, "vm");
  await mkdir(path);
  await writeFile(join(path, "config.json"), someVmConfig());
  await writeFile(join(path, "nvram.bin"), "nvram");
  await writeFile(join(path, "disk.img"), Buffer.concat([noise(MIB, "a"), Buffer.from("text ".repeat(100_000))]));
  await truncate(join(path, "disk.img"), 4 * MIB + 1000);
  return { machine, registry, path, disk: await readFile(join(path, "disk.img")) };
}

const sha256 = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

async function get(registry: DockerRegistry, path: string): Promise<Buffer> {
  const accept = "application/vnd.oci.image.manifest.v1+json";
  const answer = await fetch(`${registry.url}/v2/${path}`, { headers: { accept } });
  expect(answer.status).toBe(200);
  return Buffer.from(await answer.arrayBuffer());
}

interface Layer {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations: Readonly<Record<string, string>>;
}

describe.skipIf(lacks("docker-registry", "lz4"))("an imported machine in docker-registry", () => {
  it("is byte for byte what Tart's format says, and other decoders read it", async () => {
    const { machine, registry, path, disk } = await setUp();
    const name = `${registry.host}/vms/runner:1`;
    const flags = ["--disk-chunk-size", "1MiB", "--label", "org.example.team=tools/vm"];
    const imported = (await machine.ok("disk", "import", ...flags, path, name)) as ImportResult;
    await machine.ok("push", name);
    const bytes = await get(registry, "vms/runner/manifests/1");
    expect(sha256(bytes)).toBe(imported.digest);
    const { config, layers } = JSON.parse(bytes.toString()) as { readonly config: Layer; readonly layers: Layer[] };
    const stub = String.raw`{"architecture":"arm64","config":{"Labels":{"org.cirruslabs.tart.disk.format":"raw","org.example.team":"tools\/vm"}},"os":"linux"}`;
    const row = (type: string, { digest, size }: Layer, annotations = ""): string =>
      `{"annotations":{${annotations}},"digest":"${digest}","mediaType":"application\\/vnd.${type}","size":${size}}`;
    const chunks = layers.slice(1, -1).map((layer, at) => {
      const content = disk.subarray(at * MIB, (at + 1) * MIB);
      const facts = `"org.cirruslabs.tart.uncompressed-content-digest":"${sha256(content)}","org.cirruslabs.tart.uncompressed-size":"${content.length}"`;
      return row("cirruslabs.tart.disk.v2", layer, facts);
    });
    const ends = [row("cirruslabs.tart.config.v1", layers[0]!), row("cirruslabs.tart.nvram.v1", layers.at(-1)!)];
    expect(bytes.toString()).toBe(
      `{"annotations":{"org.cirruslabs.tart.uncompressed-disk-size":"${disk.length}","org.cirruslabs.tart.upload-time":"2026-08-18T07:16:00Z"},` +
        `"config":{"digest":"${sha256(Buffer.from(stub))}","mediaType":"application\\/vnd.oci.image.config.v1+json","size":${stub.length}},` +
        `"layers":[${[ends[0], ...chunks, ends[1]].join(",")}],` +
        String.raw`"mediaType":"application\/vnd.oci.image.manifest.v1+json","schemaVersion":2}`,
    );
    const blob = ({ digest }: Layer): Promise<Buffer> => get(registry, `vms/runner/blobs/${digest}`);
    expect((await blob(config)).toString()).toBe(stub);
    expect(await blob(layers[0]!)).toEqual(someVmConfig());
    expect((await blob(layers.at(-1)!)).toString()).toBe("nvram");
    expect(layers).toHaveLength(7);
    const decoded: Buffer[] = [];
    for (const layer of layers.slice(1, -1)) {
      const encoded = await blob(layer);
      expect([sha256(encoded), encoded.length]).toEqual([layer.digest, layer.size]);
      decoded.push(decodeWithLz4(encoded));
    }
    expect(Buffer.concat(decoded).equals(disk)).toBe(true);
  });

  it("is sent once, mounted beside, and made again of the disk where its blobs were given up", async () => {
    const { machine, registry, path } = await setUp();
    const name = `${registry.host}/vms/runner:1`;
    const flags = ["--disk-chunk-size", "1MiB", "--discard-blobs"];
    const imported = (await machine.ok("disk", "import", ...flags, path, name)) as ImportResult;
    const blobs = join(machine.root, "blobs/sha256");
    const kept = await readdir(blobs);
    const sent = (await machine.ok("push", name)) as CopyResult;
    expect(sent).toMatchObject({ digest: imported.digest, status: "copied", blobs: { mounted: 0, present: 0 } });
    expect(await readdir(blobs)).toEqual(kept);
    const beside = (await machine.ok("push", name, `${registry.host}/vms/other:1`)) as CopyResult;
    expect(beside.blobs).toMatchObject({ copied: 0, mounted: sent.blobs.copied });
    expect(await machine.ok("push", name)).toMatchObject({ status: "up-to-date" });
    const other = await newMachine();
    onTestFinished(() => other[Symbol.asyncDispose]());
    const pulled = await other.pull(`${registry.host}/vms/other:1`);
    expect(pulled.digest).toBe(imported.digest);
    await other.ok("disk", "export", `${registry.host}/vms/other:1`, join(other.path, "vm"));
    for (const file of ["config.json", "disk.img", "nvram.bin"]) {
      expect((await readFile(join(other.path, "vm", file))).equals(await readFile(join(path, file)))).toBe(true);
    }
  });

  it("costs an update a few chunks, and is refused with what can be done about it", async () => {
    const { machine, registry, path, disk } = await setUp();
    const name = (tag: string): string => `${registry.host}/vms/runner:${tag}`;
    await machine.ok("disk", "import", "--disk-chunk-size", "1MiB", path, name("1"));
    await machine.ok("push", name("1"));
    disk.write("changed", 3 * MIB + 5);
    await writeFile(join(path, "disk.img"), disk);
    await machine.ok("disk", "import", "--disk-chunk-size", "1MiB", path, name("2"));
    const sent = (await machine.ok("push", name("2"))) as CopyResult;
    // The chunk, its index, and what names them.
    expect(sent.blobs.copied).toBeLessThanOrEqual(3);
    expect(await machine.fails("disk", "import", join(path, "missing"), name("3"))).toMatchObject({
      code: "FILE_NOT_FOUND",
      exit: 3,
    });
    expect(await machine.fails("disk", "import", "--cpus", "2", path, name("3"))).toMatchObject({
      code: "USAGE",
      exit: 2,
    });
    expect(await machine.fails("push", "--compression", "gzip", name("1"), name("3"))).toMatchObject({
      code: "MEDIA_TYPE_UNSUPPORTED",
    });
    expect(await machine.fails("convert", "--compression", "zstd", name("1"), name("3"))).toMatchObject({
      code: "MEDIA_TYPE_UNSUPPORTED",
    });
  });
});
