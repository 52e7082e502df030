/**
 * The same image several times as large, to see whether memory grows with size: each layer stands in it `times` times, told apart by an
 * empty gzip member at its end (RFC 1952 allows many) whose time stamp differs. So digests differ, and DiffIDs are what they were.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, writeFile, open } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { runOk } from "../../test/kit/peers/run.ts";

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

interface Manifest {
  config: Descriptor;
  layers: Descriptor[];
}

interface Config {
  rootfs: { diff_ids: string[] };
  history?: unknown;
}

/** An empty member: header with the number as its time, an empty final block, CRC and length of nothing. */
function emptyMember(number: number): Buffer {
  const member = Buffer.from(`1f8b08000000000000030300${"00".repeat(8)}`, "hex");
  member.writeUInt32LE(number, 4);
  return member;
}

/** Takes gzip layers from `image` and leaves the larger image in the same repository. @returns its name */
export async function multiplyImage(image: string, times: number, dir: string): Promise<string> {
  const layout = join(dir, "layout");
  await mkdir(layout, { recursive: true });
  const skopeo = (...args: string[]) =>
    runOk("skopeo", ["copy", "-q", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false", ...args], {
      timeoutMs: 3_600_000,
    });
  await skopeo(`docker://${image}`, `oci:${layout}:it`);
  const blob = (digest: string): string => join(layout, "blobs", digest.replace(":", "/"));
  const index = JSON.parse(await readFile(join(layout, "index.json"), "utf8")) as { manifests: Descriptor[] };
  const [root] = index.manifests;
  if (root === undefined) throw new Error(`${image} came without a manifest`);
  const manifest = JSON.parse(await readFile(blob(root.digest), "utf8")) as Manifest;
  const config = JSON.parse(await readFile(blob(manifest.config.digest), "utf8")) as Config;

  const layers: Descriptor[] = [];
  const diffIds: string[] = [];
  for (let copy = 0; copy < times; copy++) {
    for (const [place, layer] of manifest.layers.entries()) {
      layers.push(copy === 0 ? layer : await extend(blob, layer, copy));
      diffIds.push(config.rootfs.diff_ids[place] ?? "");
    }
  }
  const put = async (value: unknown): Promise<{ digest: string; size: number }> => {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    await writeFile(blob(digest), bytes);
    return { digest, size: bytes.length };
  };
  const larger = {
    ...manifest.config,
    ...(await put({ ...config, history: undefined, rootfs: { ...config.rootfs, diff_ids: diffIds } })),
  };
  const top = { ...root, ...(await put({ ...manifest, config: larger, layers })) };
  await writeFile(join(layout, "index.json"), JSON.stringify({ ...index, manifests: [top] }));
  const name = `${image}-x${times}`;
  await skopeo(`oci:${layout}:it`, `docker://${name}`);
  return name;
}

async function extend(blob: (digest: string) => string, layer: Descriptor, copy: number): Promise<Descriptor> {
  const tail = emptyMember(copy);
  const spool = blob("sha256:spool");
  const hash = createHash("sha256");
  await using file = await open(spool, "w");
  await pipeline(
    createReadStream(blob(layer.digest), { highWaterMark: 1 << 20 }),
    async function (source: AsyncIterable<Buffer>) {
      for await (const chunk of source) {
        hash.update(chunk);
        await file.write(chunk);
      }
    },
  );
  hash.update(tail);
  await file.write(tail);
  const digest = `sha256:${hash.digest("hex")}`;
  await runOk("mv", [spool, blob(digest)]);
  return { ...layer, digest, size: layer.size + tail.length };
}
