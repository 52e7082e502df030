/** Tables of contents that nobody can hold in memory: a pull stays within its bound, and layers come whole. */
import { readFileSync } from "node:fs";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TAR_END, tarPadding } from "../../src/codec/tar/header.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { openStore } from "../../src/store/store.ts";
import type { PullResult } from "../../src/transfer/pull-result.ts";
import { buildImage } from "../kit/images/build-image.ts";
import { layerOf, type KitLayer } from "../kit/images/build-layer.ts";
import { disguisedLayer, hiddenAt, type PackedDocument } from "../kit/images/disguised-layer.ts";
import { estargzFooter } from "../kit/images/estargz.ts";
import { packTree } from "../kit/images/pack-tree.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { headerOf } from "../kit/images/tar-members.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { file } from "../kit/trees/tree-node.ts";
import { newMachine, type Machine } from "./machine.ts";

const MIB = 1 << 20;
/** Of a process that pulls, whatever the image is. */
const MOST_BYTES = 300 * MIB;

const rng = createRng(41);
const HELD = rng.bytes(3_000_000);

let registry: KitRegistry;
let here: Machine;
beforeAll(async () => {
  registry = await startRegistry();
  here = await newMachine();
  await here.pull(await push("before", await buildImage({ layers: [[file("held", HELD)]] })));
});
afterAll(async () => {
  await here[Symbol.asyncDispose]();
  await registry.close();
});

async function push(tag: string, image: Awaited<ReturnType<typeof buildImage>>): Promise<string> {
  await pushImage(registry.host, "app", tag, image);
  return `${registry.host}/app:${tag}`;
}

interface Pulled {
  readonly result: PullResult;
  /** The most memory that the process had at once. */
  readonly bytes: number;
}

/** As slow as a registry can be known to be: else nobody would look into so much of a table for so little of a layer. */
async function slowDown(): Promise<void> {
  await using store = await openStore(here.root);
  for (let pull = 0; pull < 4; pull++) await store.registryRates.record(registry.host, 10e3);
}

/** Pulls in a process of its own. */
async function pulled(tag: string, layers: readonly KitLayer[]): Promise<Pulled> {
  const name = await push(tag, await buildImage({ layers }));
  await slowDown();
  await using program = here.start(["--json", "--progress", "none", "pull", name]);
  let bytes = 0;
  const look = (): void => {
    try {
      const [, kilobytes = "0"] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${program.pid}/status`, "utf8")) ?? [];
      bytes = Math.max(bytes, Number(kilobytes) * 1024);
    } catch {
      // It is over.
    }
  };
  const looking = setInterval(look, 20);
  const { stdout, code } = await program.result.finally(() => clearInterval(looking));
  expect(code).toBe(0);
  return { result: JSON.parse(stdout.toString()) as PullResult, bytes };
}

async function expectWhole(tag: string, layers: readonly KitLayer[], reason: RegExp): Promise<void> {
  const { result, bytes } = await pulled(tag, layers);
  for (const layer of result.layers) {
    expect(layer).toMatchObject({
      how: "full",
      unpack: "unpacked",
      fallbacks: [{ reason: expect.stringMatching(reason) as string }],
    });
  }
  expect(bytes).toBeGreaterThan(20 * MIB);
  expect(bytes).toBeLessThan(MOST_BYTES);
}

/** Frames one after the other, of which one may come any number of times. */
function framesOf(...parts: readonly (readonly [text: string | Buffer, times?: number])[]): PackedDocument {
  const packed = new Map(parts.map(([text]) => [text, undefined as Buffer | undefined]));
  const frames = parts.flatMap(([text, times = 1]) => {
    const frame = packed.get(text) ?? zstdCompressSync(Buffer.from(text));
    packed.set(text, frame);
    return Array<Buffer>(times).fill(frame);
  });
  const size = parts.reduce((sum, [text, times = 1]) => sum + Buffer.byteLength(text) * times, 0);
  return { packed: Buffer.concat(frames), size };
}

/** Most of a line of zeros, which are what may stand behind the last member of a tar. */
const LINE = `{"type":2,"payload":"${Buffer.alloc(2 * MIB).toString("base64")}","position":`;

const tarOf = (own: number): Buffer => packTree([file(`file-${own}`, rng.bytes(2_000_000))]);
const START = '{"version":1,"entries":[';
const dirs = (count: number): string =>
  Array.from({ length: count }, (_, at) => `{"type":"dir","name":"${at}"},`).join("");

describe.skipIf(process.platform !== "linux")("a pull of layers with documents without end", () => {
  it("takes no more memory for ten million entries", async () => {
    const toc = framesOf([START], [dirs(10_000), 1000], ['{"type":"dir"}]}']);
    await expectWhole(
      "many",
      [1, 2].map((own) => disguisedLayer(tarOf(own), { toc })),
      /TOC_LIMIT/,
    );
  });

  it("takes no more memory for as many of an eStargz layer", async () => {
    const toc = Buffer.from(`${START}${dirs(600_000)}{"type":"dir"}]}`);
    const tar = tarOf(3);
    const members = gzipSync(tar);
    const end = [
      headerOf({ type: "file", name: "stargz.index.json", content: toc }),
      toc,
      tarPadding(toc.length),
      TAR_END,
    ];
    const footer = estargzFooter(`SG\x16\0${members.length.toString(16).padStart(16, "0")}STARGZ`);
    const blob = Buffer.concat([members, gzipSync(Buffer.concat(end), { level: 1 }), footer]);
    const layer = layerOf(Buffer.concat([tar, ...end]), blob, "application/vnd.oci.image.layer.v1.tar+gzip", {
      "containerd.io/snapshot/stargz/toc.digest": digestOf(toc),
    });
    await expectWhole("estargz", [layer], /TOC_LIMIT/);
  });

  it("takes no more memory for long lines of tar-splits", async () => {
    const tar = tarOf(4);
    const held = { type: "reg", name: "held", mode: 0o644, size: HELD.length, digest: digestOf(HELD), offset: 1 };
    const toc = framesOf([`${START}${JSON.stringify({ ...held, endOffset: hiddenAt(tar) - 8 })}]}`]);
    const head = Buffer.from(headerOf({ type: "file", name: "held", content: HELD })).toString("base64");
    const lines = `{"type":2,"payload":"${head}","position":0}\n{"type":1,"name":"held","size":${HELD.length},"payload":"AAAAAAAAAAA=","position":1}\n`;
    const long = Array.from({ length: 40 }, (_, at) => [[LINE], [`${at + 2}}\n`]] as const);
    const layer = disguisedLayer(tar, {
      toc,
      tarSplit: framesOf([lines], ...long.flat()),
    });
    await expectWhole("lines", [layer], /MISMATCH/);
  });

  it("takes no more memory for windows as large as decoders allow", async () => {
    const bytes = Buffer.concat([Buffer.from(START), Buffer.alloc(140 * MIB, " "), Buffer.from("]}")]);
    const packed = zstdCompressSync(bytes, {
      params: { [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_contentSizeFlag]: 0 },
    });
    const toc = { packed, size: bytes.length };
    await expectWhole(
      "windows",
      [7, 8].map((own) => disguisedLayer(tarOf(own), { toc })),
      /COMPRESSION_INVALID/,
    );
  });
});
