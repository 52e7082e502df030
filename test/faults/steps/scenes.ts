/** Stores as the operations find them, made once and copied for each case, and the two images that they are about. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "../../../src/oci/digest.ts";
import { openVarve, pull, type Varve } from "../../../src/index.ts";
import { buildImage } from "../../kit/images/build-image.ts";
import { buildLayer } from "../../kit/images/build-layer.ts";
import { createRng } from "../../kit/images/rng.ts";
import { startFaultProxy } from "../../kit/faults/fault-proxy.ts";
import { fakeClock } from "../../kit/http/fake-clock.ts";
import { NO_HOME } from "../../kit/http/test-client.ts";
import { runOk } from "../../kit/peers/run.ts";
import { file } from "../../kit/trees/tree-node.ts";
import { publish, type PublishedImage } from "../lib/published-image.ts";
import { buildRealImage, realFiles } from "../lib/real-image.ts";

export type StoreState = "empty" | "first" | "both" | "partial" | "garbage";

export interface Scenes {
  /** The registry that has the images. */
  readonly host: string;
  /** A home directory for the programs that are run. */
  readonly home: string;
  /** They share layers. */
  readonly first: PublishedImage;
  readonly second: PublishedImage;
  /** Copies a store to `root`, which must not exist. */
  copy(state: StoreState, root: string): Promise<void>;
}

export function referenceOf({ host }: Pick<Scenes, "host">, { name, tag }: PublishedImage): string {
  return `${host}/${name}:${tag}`;
}

/** The library on a store, with nothing of this machine's settings. */
export function openAt(root: string, { readOnly = false } = {}): Promise<Varve> {
  return openVarve({
    root,
    threads: 0,
    store: { readOnly, sync: !readOnly },
    registry: { registriesConf: false, env: NO_HOME, clock: fakeClock() },
  });
}

/** @param dir for the stores. @param registryHost where the images are published */
export async function makeScenes(dir: string, registryHost: string, bytes: number, seed: number): Promise<Scenes> {
  const rng = createRng(seed);
  const image = await buildRealImage({ seed, bytes });
  const own = [
    await buildLayer([...realFiles(bytes / 4, bytes * 3), file("srv/own", rng.bytes(Math.round(bytes / 4)))]),
    await buildLayer([file("etc/second", "second\n")], { compression: "zstd" }),
  ];
  const first = await publish(registryHost, "scene/first", "1", image);
  const second = await publish(
    registryHost,
    "scene/second",
    "1",
    await buildImage({ layers: [...image.layers.slice(0, 3), ...own] }),
  );
  const at = (state: StoreState): string => join(dir, "scenes", state);
  await mkdir(join(dir, "scenes"), { recursive: true });
  const pullInto = async (state: StoreState, ...images: PublishedImage[]): Promise<void> => {
    await using varve = await openAt(at(state));
    for (const one of images) await pull(varve, referenceOf({ host: registryHost }, one));
  };
  await mkdir(at("empty"));
  const home = join(dir, "home");
  await mkdir(home);
  await pullInto("first", first);
  await pullInto("both", first, second);
  await pullInto("garbage", first);
  await leaveGarbage(at("garbage"), rng.bytes(200_000));
  await leavePartial(at("partial"), registryHost, first);
  return {
    host: registryHost,
    home,
    first,
    second,
    copy: async (state, root) => void (await runOk("cp", ["-a", "--sparse=always", at(state), root])),
  };
}

/** Whole blobs that nothing needs, what is known of one, and a partial one. */
async function leaveGarbage(root: string, bytes: Buffer): Promise<void> {
  await using varve = await openAt(root);
  const { content, layers } = varve.store;
  for (let at = 0; at < 6; at++) {
    const blob = bytes.subarray(at * 20_000, at * 20_000 + 15_000);
    const digest = digestOf(blob);
    await content.writeBytes(digest, blob);
    const facts = { mediaType: "application/vnd.oci.image.layer.v1.tar", size: blob.length, entries: 1 };
    if (at < 2) await layers.put({ digest, diffId: digest, uncompressedSize: 9, verifiedAt: new Date(), ...facts });
  }
  const unfinished = { digest: digestOf(bytes), size: bytes.length };
  const place = await content.ingest(unfinished);
  if (!("commit" in place)) throw new Error("nobody else has it");
  await using ingest = place;
  await ingest.write(0, bytes.subarray(0, 100_000));
}

/** What a pull leaves whose line broke for good half-way. */
async function leavePartial(root: string, target: string, image: PublishedImage): Promise<void> {
  const largest = image.layers.toSorted((a, b) => b.size - a.size)[0]!;
  const path = new RegExp(largest.digest);
  await using proxy = await startFaultProxy({
    target,
    rules: [
      { path, nth: 1, fault: { kind: "drop", afterBytes: Math.floor(largest.size / 2) } },
      { path, nth: { from: 2 }, fault: { kind: "reset" } },
    ],
  });
  await using varve = await openAt(root);
  const { name, tag } = image;
  await pull(varve, `${proxy.host}/${name}:${tag}`).catch(() => undefined);
  if ((await varve.store.content.partial(largest.digest)).length === 0) throw new Error("nothing partial was left");
}
