/**
 * A system's disk through a docker-registry on loopback: imported, pushed, pulled into another store, written out; then its next version, with
 * and without the chunk index. Everything is held to the source: bytes, file system, space.
 */
import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { importDisk, openVarve } from "../../../src/index.ts";
import { changedBlocks } from "../../../test/kit/disk/changed-blocks.ts";
import { checkExt4 } from "../../../test/kit/disk/ext4-tools.ts";
import { makeRealDisk, upgradeDisk } from "../../../test/kit/disk/real-disk.ts";
import { startDockerRegistry } from "../../../test/kit/peers/docker-registry.ts";
import { runOk } from "../../../test/kit/peers/run.ts";
import { VARVE_BIN } from "../../../test/kit/peers/varve.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { measure, measureOutput, median, type Cost } from "../measure.ts";
import { printTable } from "../table.ts";
import { FLOOR } from "./floor.ts";

export interface PullPartOptions {
  readonly runs: number;
  /** Megabytes of the disk, of the files on it, and by which it grows. */
  readonly size: number;
  readonly data: number;
  readonly grow: number;
  /** Files that the update replaces; it removes and adds a fifth of that. */
  readonly replaced: number;
  readonly seed: number;
  /** Bytes of the disk in each chunk; undefined: as Tart cuts them. */
  readonly chunkSize: number | undefined;
}

interface Pulled {
  readonly bytes: { readonly network: number };
  readonly requests: number;
}

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

export async function benchPulls(options: PullPartOptions): Promise<void> {
  await using dir = await tempDir("varve-bench-");
  await using registry = await startDockerRegistry({ dir: join(dir.path, "registry") });
  const bench = new Bench(dir.path, registry.host, options);
  await bench.firstVersion();
  await bench.race();
  await bench.update();
}

class Bench {
  readonly #dir: string;
  readonly #host: string;
  readonly #options: PullPartOptions;
  readonly #costs: Record<string, Cost> = {};
  #first: Awaited<ReturnType<typeof makeRealDisk>> | undefined;

  constructor(dir: string, host: string, options: PullPartOptions) {
    this.#dir = dir;
    this.#host = host;
    this.#options = options;
  }

  async firstVersion(): Promise<void> {
    const { size, data } = this.#options;
    console.log("making a disk");
    this.#first = await makeRealDisk(this.#at("1.img"), { bytes: size * 1e6, dataBytes: data * 1e6 });
    const args = ["disk", "import", ...this.#cut(), this.#first.path, this.#image("1")];
    this.#costs["import"] = await this.#varve("maker", ...args);
    this.#costs["push"] = await this.#varve("maker", "push", this.#image("1"));
  }

  /** Pulls into an empty store and the floor alternate. */
  async race(): Promise<void> {
    const { runs, size } = this.#options;
    const manifest = this.#at("manifest.json");
    const answer = await fetch(`http://${this.#host}/v2/vms/debian/manifests/1`, { headers: { accept: MANIFEST } });
    await writeFile(manifest, Buffer.from(await answer.arrayBuffer()));
    const [pulls, floors]: [Cost[], Cost[]] = [[], []];
    let pulled: Pulled | undefined;
    for (let round = 0; round < runs; round++) {
      await rm(this.#at("user"), { recursive: true, force: true });
      const one = await this.#pull("user", "1");
      pulled = one.result;
      pulls.push(one.cost);
      floors.push(await measure(process.execPath, [FLOOR, manifest, this.#at("registry"), this.#at("floor.img")]));
      await rm(this.#at("floor.img"));
    }
    const [pull, floor] = [median(pulls), median(floors)];
    const exported = await this.#arrived("user", "1", this.#at("1.img"));
    printTable(`${size} MB with ${megabytes(allocated(this.#at("1.img")))} MB of data, median of ${runs}`, {
      ...this.#costs,
      pull,
      "floor: decode, hash both, write": floor,
      "export, not shared": exported,
    });
    const cpu = (pull.user + pull.system) / (floor.user + floor.system);
    console.log(
      `pull: ${megabytes(pulled!.bytes.network)} MB, CPU ${cpu.toFixed(2)} of the floor's, wall ${(pull.wall / floor.wall).toFixed(2)}`,
    );
  }

  async update(): Promise<void> {
    const { size, grow, replaced, seed } = this.#options;
    const few = Math.ceil(replaced / 5);
    const bytes = (size + grow) * 1e6;
    const [from, to] = [this.#at("1.img"), this.#at("2.img")];
    await upgradeDisk(this.#first!, to, { seed, replaced, removed: few, added: few, bytes });
    const changed = await changedBlocks(from, to);
    console.log(
      `the update: ${replaced} files replaced, ${few} removed, ${few} added, ${grow} MB more; ${changed.count} blocks of 64 KiB changed, compressed ${megabytes(changed.compressedBytes)} MB`,
    );
    await this.#varve("maker", "disk", "import", ...this.#cut(), to, this.#image("2"));
    await this.#importPlain(to, this.#image("2-plain"));
    for (const tag of ["2", "2-plain"]) await this.#varve("maker", "push", this.#image(tag));
    const costs: Record<string, Cost> = {};
    for (const [title, tag] of [
      ["with the chunk index", "2"],
      ["without it", "2-plain"],
    ] as const) {
      await runOk("cp", ["-a", "--sparse=always", this.#at("user"), this.#at(`user-${tag}`)], { timeoutMs: 600_000 });
      const { cost, result } = await this.#pull(`user-${tag}`, tag);
      costs[`update ${title}`] = cost;
      await this.#arrived(`user-${tag}`, tag, to);
      const { requests } = result;
      const { network } = result.bytes;
      const ratio = network / changed.compressedBytes;
      console.log(
        `${title}: ${megabytes(network)} MB in ${requests} requests, ${ratio.toFixed(3)} of the changed blocks' compressed size`,
      );
    }
    printTable("the update", costs);
  }

  /** What was pulled, written out: the same bytes, a sound file system, and no more space than at its source. */
  async #arrived(store: string, tag: string, source: string): Promise<Cost> {
    const out = this.#at("out.img");
    const cost = await this.#varve(store, "disk", "export", "--raw", "--no-reflink", this.#image(tag), out);
    if ((await hashOf(out)) !== (await hashOf(source))) throw new Error(`${tag} arrived with other bytes`);
    const { code, stdout } = await checkExt4(out);
    if (code !== 0) throw new Error(`e2fsck of ${tag}: ${stdout.toString()}`);
    const ratio = allocated(out) / allocated(source);
    console.log(`${tag} arrived: same SHA-256, e2fsck clean, takes ${ratio.toFixed(4)} of its source`);
    if (ratio > 1.01) throw new Error(`${tag} takes ${ratio} of its source`);
    await rm(out);
    return cost;
  }

  /** An image of which no index is made. */
  async #importPlain(path: string, name: string): Promise<void> {
    const { chunkSize } = this.#options;
    await using varve = await openVarve({ root: this.#at("maker"), registry: { registriesConf: false } });
    await importDisk(varve, path, name, { chunkIndex: false, ...(chunkSize !== undefined && { chunkSize }) });
  }

  async #pull(store: string, tag: string): Promise<{ readonly cost: Cost; readonly result: Pulled }> {
    const { cost, stdout } = await this.#run(store, "pull", this.#image(tag));
    return { cost, result: JSON.parse(stdout) as Pulled };
  }

  async #varve(store: string, ...args: readonly string[]): Promise<Cost> {
    return (await this.#run(store, ...args)).cost;
  }

  #run(store: string, ...args: readonly string[]): ReturnType<typeof measureOutput> {
    const all = [VARVE_BIN, "--root", this.#at(store), "--json", "--progress", "none", ...args];
    return measureOutput(process.execPath, all);
  }

  #cut(): readonly string[] {
    const { chunkSize } = this.#options;
    return chunkSize === undefined ? [] : ["--disk-chunk-size", String(chunkSize)];
  }

  #image(tag: string): string {
    return `${this.#host}/vms/debian:${tag}`;
  }

  #at(name: string): string {
    return join(this.#dir, name);
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}

function allocated(path: string): number {
  return statSync(path).blocks * 512;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
