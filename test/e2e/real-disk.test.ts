/**
 * The disk of a real system on its way: imported, pushed to a registry, pulled into another store and written out, and the same of its next
 * version. A small one; `npm run bench -- disk` has one of 10 GB.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { describe, expect, it } from "vitest";
import { importDisk, openVarve } from "../../src/index.ts";
import { changedBlocks } from "../kit/disk/changed-blocks.ts";
import { checkExt4, hasExt4Tools } from "../kit/disk/ext4-tools.ts";
import { makeRealDisk, upgradeDisk } from "../kit/disk/real-disk.ts";
import { allocated, KIB, MIB } from "../kit/disk/sparse-file.ts";
import { NO_HOME } from "../kit/http/test-client.ts";
import { findPeer } from "../kit/peers.ts";
import { startDockerRegistry } from "../kit/peers/docker-registry.ts";
import { runVarve } from "../kit/peers/varve.ts";
import { tempDir } from "../kit/temp-dir.ts";

const canRun = hasExt4Tools && findPeer("docker-registry") !== undefined;
const CHUNK = 8 * MIB;

interface Pulled {
  readonly digest: string;
  readonly bytes: { readonly network: number };
}

async function varve<T = unknown>(root: string, ...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await runVarve(["--json", "--progress", "none", ...args], { root });
  if (code !== 0) throw new Error(`varve ${args.join(" ")} ended with ${code}: ${stderr}\n${stdout.toString()}`);
  return JSON.parse(stdout.toString()) as T;
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: MIB }), hash);
  return hash.digest("hex");
}

interface Manifest {
  readonly layers: readonly { readonly size: number; readonly annotations?: Readonly<Record<string, string>> }[];
}

/** Of the blobs of chunks that an image has and the other has not, whatever else there is. */
async function changedChunkBytes(registry: string, before: string, after: string): Promise<number> {
  const chunksOf = async (tag: string): Promise<Map<string, number>> => {
    const accept = "application/vnd.oci.image.manifest.v1+json";
    const answer = await fetch(`${registry}/v2/vms/debian/manifests/${tag}`, { headers: { accept } });
    const { layers } = (await answer.json()) as Manifest;
    const key = "org.cirruslabs.tart.uncompressed-content-digest";
    return new Map(layers.flatMap(({ size, annotations }) => (annotations?.[key] ? [[annotations[key], size]] : [])));
  };
  const [old, all] = [await chunksOf(before), await chunksOf(after)];
  return Array.from(all).reduce((sum, [digest, size]) => sum + (old.has(digest) ? 0 : size), 0);
}

describe.skipIf(!canRun)("the disk of a real system", () => {
  it("arrives as it was, and of its next version only what changed", async () => {
    await using registry = await startDockerRegistry();
    await using dir = await tempDir();
    const at = (name: string): string => join(dir.path, name);
    const [maker, user, plainUser] = [at("maker"), at("user"), at("plain user")];
    const image = (tag: string): string => `${registry.host}/vms/debian:${tag}`;

    const first = await makeRealDisk(at("1.img"), { bytes: 120 * MIB, dataBytes: 20 * MIB });
    const second = await upgradeDisk(first, at("2.img"), {
      seed: 1,
      replaced: 12,
      removed: 5,
      added: 8,
      bytes: 150 * MIB,
    });
    const arrives = async (root: string, tag: string, source: string): Promise<Pulled> => {
      const pulled = await varve<Pulled>(root, "pull", image(tag));
      const out = at(`${tag} of ${root.split("/").at(-1)}`);
      await varve(root, "disk", "export", "--raw", image(tag), out);
      expect(await hashOf(out)).toBe(await hashOf(source));
      expect(allocated(out)).toBeLessThanOrEqual(allocated(source) * 1.01 + 64 * KIB);
      expect(await checkExt4(out)).toMatchObject({ code: 0 });
      return pulled;
    };

    await varve(maker, "disk", "import", "--disk-chunk-size", String(CHUNK), first.path, image("1"));
    await varve(maker, "push", image("1"));
    await arrives(user, "1", first.path);
    await varve(maker, "disk", "import", "--disk-chunk-size", String(CHUNK), second.path, image("2"));
    {
      await using library = await openVarve({ root: maker, registry: { registriesConf: false, env: NO_HOME } });
      await importDisk(library, second.path, image("3"), { chunkSize: CHUNK, chunkIndex: false });
    }
    await varve(maker, "push", image("2"));
    await varve(maker, "push", image("3"));
    await varve(plainUser, "pull", image("1"));

    const byIndex = await arrives(user, "2", second.path);
    const byChunks = await arrives(plainUser, "3", second.path);
    const documents = 200 * KIB;
    expect(byIndex.bytes.network).toBeLessThanOrEqual(
      (await changedBlocks(first.path, second.path)).compressedBytes * 1.1,
    );
    expect(byChunks.bytes.network).toBeLessThanOrEqual((await changedChunkBytes(registry.url, "1", "3")) + documents);
  });
});
