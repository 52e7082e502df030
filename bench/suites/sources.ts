/**
 * What it costs to find wanted content in what this machine holds: to build the indexes over many layers, and to look a table of contents up in
 * them, when nothing of it is held, when nothing is known of it yet, and when all of it is.
 *
 *   npm run bench -- sources [--layers 50] [--files 100000] [--pieces 100000]
 *
 * The layers are erofs layers of one tar each that differ in their names only; their contents are 700 bytes of their own on average. Half of the
 * pieces are files of the layer made last, a quarter are of sizes that are held with other contents, the rest are of none.
 */
import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import {
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { encodeErofs } from "../../src/codec/erofs/writer.ts";
import { newDirectory, newNode } from "../../src/layer/index-tree.ts";
import { walkErofsFiles } from "../../src/codec/erofs/walk-files.ts";
import type { PieceTable } from "../../src/codec/piece-table.ts";
import { digestOf, parseDigest } from "../../src/oci/digest.ts";
import type { HeldLayer } from "../../src/store/local-sources/held-layer.ts";
import { HeldSources } from "../../src/store/local-sources/local-sources.ts";
import { indexBytes } from "../../src/store/local-sources/own-files.ts";
import { openStore } from "../../src/store/store.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";

const FILES_PER_DIRECTORY = 40;
/** Of the tar that each file takes. */
const SPACE = 2048;
const TIME = { seconds: 0, nanoseconds: 0 };

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      layers: { type: "string", default: "50" },
      files: { type: "string", default: "100000" },
      pieces: { type: "string", default: "100000" },
      prepare: { type: "string" },
    },
  });
  const [count, files, pieces] = [Number(values.layers), Number(values.files), Number(values.pieces)];
  const sample = new Sample(files);
  if (values.prepare !== undefined) return sample.write(values.prepare);
  await using dir = await tempDir("varve-bench-");
  // In a process of its own, whose memory is not this one's.
  const program = [...process.execArgv, ...process.argv.slice(1, 3), "--files", values.files, "--prepare", dir.path];
  execFileSync(process.execPath, program, { stdio: "inherit" });
  await using store = await openStore(join(dir.path, "store"), { sync: false });
  const index = readFileSync(join(dir.path, "index"));
  const layers = Array.from({ length: count }, (_, at): HeldLayer => {
    const folder = join(dir.path, `layer-${at}`);
    mkdirSync(folder);
    const own = join(folder, "layer.tar");
    linkSync(join(dir.path, "tar"), own);
    return {
      folder,
      form: "devices",
      roots: [own],
      diffId: digestOf(folder),
      isCovered: false,
      kept: [digestOf(folder)],
      isThere: () => Promise.resolve(true),
      files: () => walkErofsFiles(index),
    };
  });
  await using sources = new HeldSources({ store, listHeld: () => Promise.resolve(layers) });
  const look = async (what: string, table: PieceTable, hashBytes?: number): Promise<void> => {
    const startedAt = performance.now();
    const before = process.cpuUsage();
    await using places = await sources.locate(table, hashBytes === undefined ? {} : { hashBytes });
    const seconds = (performance.now() - startedAt) / 1000;
    const cpu = process.cpuUsage(before);
    const told = [seconds, (cpu.user + cpu.system) / 1e6].map((value) => value.toFixed(2)).join(" s, CPU ");
    console.log(`${what}: ${told} s; ${places.found.pieces} of ${table.length} pieces; peak ${peak()} MiB`);
  };
  console.log(`${count} layers of ${files} files: before ${peak()} MiB`);
  const one = sample.table(1);
  await look("built, one piece looked up", one, 0);
  const bytes = (await Promise.all(layers.map(({ folder }) => indexBytes(folder)))).reduce((a, b) => a + b, 0);
  console.log(`indexes: ${(bytes / count / files).toFixed(1)} bytes for each file`);
  await look("one piece looked up", one, 0);
  const table = sample.table(pieces);
  await look("a table, without hashing", table, 0);
  await look("a table, nothing known", table);
  await look("a table, again", table);
}

/** MiB. */
function peak(): number {
  return Math.round(process.resourceUsage().maxRSS / 1024);
}

/** The files of a layer, by number. */
class Sample {
  readonly #files: number;

  constructor(files: number) {
    this.#files = files;
  }

  /** A layer's tar and its index. */
  write(directory: string): void {
    writeFileSync(
      join(directory, "index"),
      Buffer.concat([...encodeErofs(this.#tree(), { uuid: new Uint8Array(16) })]),
    );
    const tar = openSync(join(directory, "tar"), "w");
    for (let at = 0; at < this.#files; at++) writeSync(tar, this.#content(at), 0, this.#size(at), at * SPACE);
    ftruncateSync(tar, this.#files * SPACE);
    closeSync(tar);
  }

  #tree(): Parameters<typeof encodeErofs>[0] {
    const root = newDirectory(0o755, 0, 0, TIME);
    for (let at = 0; at < this.#files; at++) {
      const [directory, name] = this.#name(at);
      let parent = root.children.get(directory);
      if (parent === undefined) root.children.set(directory, (parent = newDirectory(0o755, 0, 0, TIME)));
      const node = newNode("file", 0o644, 0, 0, TIME);
      node.size = this.#size(at);
      node.place = { device: 0, offset: at * SPACE };
      parent.children?.set(name, node);
    }
    return { root, devices: [{ size: this.#files * SPACE, tag: "tar" }] };
  }

  table(length: number): PieceTable {
    const numberOf = (piece: number): number => Math.floor((piece * this.#files) / length);
    const kindOf = (piece: number): number => piece % 4;
    return {
      length,
      size: (piece) => (kindOf(piece) === 3 ? 1_000_000 + piece : this.#size(numberOf(piece))),
      digest: (piece) => {
        const content = kindOf(piece) < 2 ? this.#content(numberOf(piece)) : `nothing ${piece}`;
        return parseDigest(`sha256:${hash("sha256", content, "hex")}`);
      },
      name: (piece) => (kindOf(piece) === 2 ? `other/${piece}` : this.#name(numberOf(piece)).join("/")),
    };
  }

  #size(at: number): number {
    return 100 + ((at * 7919) % 1200);
  }

  #content(at: number): Buffer {
    return Buffer.alloc(this.#size(at), `${at} `);
  }

  #name(at: number): [string, string] {
    return [`directory-${Math.floor(at / FILES_PER_DIRECTORY)}`, `a-file-of-number-${at}.py`];
  }
}
