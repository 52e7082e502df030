/** The registry that the daemon mirrors and pulls from: a few images behind a proxy that breaks things, and what every byte of them should be. */
import type { Digest } from "../../../src/oci/digest.ts";
import { startFaultProxy, type FaultProxy } from "../../kit/faults/fault-proxy.ts";
import type { FaultRule } from "../../kit/faults/fault-script.ts";
import { buildImage, buildIndex, type KitImage, type KitIndex } from "../../kit/images/build-image.ts";
import { pushImage } from "../../kit/images/push-image.ts";
import type { Rng } from "../../kit/images/rng.ts";
import { startRegistry } from "../../kit/registry/registry.ts";
import { directory, file, type TreeNode } from "../../kit/trees/tree-node.ts";

export interface Published {
  readonly name: string;
  readonly tag: string;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

export interface Upstream extends AsyncDisposable {
  readonly proxy: FaultProxy;
  /** By tag, the tags never move. */
  readonly images: readonly Published[];
  /** Manifests by digest, those of an index too. */
  readonly manifests: readonly Published[];
  readonly blobs: readonly { readonly name: string; readonly digest: Digest; readonly bytes: Buffer }[];
}

export async function startUpstream(dir: string, rng: Rng): Promise<Upstream> {
  await using starting = new AsyncDisposableStack();
  const registry = starting.use(await startRegistry({ dir }));
  const proxy = starting.use(await startFaultProxy({ target: registry.host }));
  const made = await makeImages(rng);
  for (const { name, tag, image } of made) await pushImage(registry.host, name, tag, image);
  const images = made.map(({ name, tag, image }) => published(name, tag, image));
  const manifests = made.flatMap(({ name, tag, image }) =>
    [image, ...(image.kind === "index" ? image.images : [])].map((one) => published(name, tag, one)),
  );
  const blobs = made.flatMap(({ name, image }) =>
    (image.kind === "index" ? image.images : [image]).flatMap((one) =>
      one.blobs.map(({ digest, bytes }) => ({ name, digest, bytes })),
    ),
  );
  const stack = starting.move();
  return { proxy, images, manifests, blobs, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** What goes wrong between the daemon and the registry. */
export const TROUBLES: readonly FaultRule[] = [
  { probability: 0.03, fault: { kind: "reset" } },
  { probability: 0.01, fault: { kind: "garbage" } },
  { probability: 0.03, fault: { kind: "status", status: 503 } },
  { probability: 0.02, fault: { kind: "status", status: 500 } },
  { probability: 0.03, fault: { kind: "status", status: 429, retryAfter: 0 } },
  { path: /\/blobs\//, method: "GET", probability: 0.05, fault: { kind: "drop", afterBytes: 40_000, how: "reset" } },
  { path: /\/blobs\//, method: "GET", probability: 0.04, fault: { kind: "drop", afterBytes: 90_000 } },
  { path: /\/blobs\//, method: "GET", probability: 0.04, fault: { kind: "truncate", toBytes: 50_000 } },
  { path: /\/blobs\//, method: "GET", probability: 0.04, fault: { kind: "flip", atByte: 12_345 } },
  { path: /\/blobs\//, method: "GET", probability: 0.03, fault: { kind: "append", bytes: 10 } },
  { path: /\/manifests\//, method: "GET", probability: 0.03, fault: { kind: "flip", atByte: 30 } },
  { ranged: true, probability: 0.05, fault: { kind: "ignoreRange" } },
  { probability: 0.1, fault: { kind: "latency", ms: 30 } },
  { path: /\/blobs\//, probability: 0.05, fault: { kind: "slow", bytesPerSecond: 400_000 } },
];

interface Made {
  readonly name: string;
  readonly tag: string;
  readonly image: KitImage | KitIndex;
}

async function makeImages(rng: Rng): Promise<readonly Made[]> {
  const base = tree(rng, "base", 300_000);
  const middle = tree(rng, "middle", 150_000);
  const app = (version: number): TreeNode[] => [
    directory("srv"),
    file(
      "srv/model",
      Buffer.concat([rng.bytes(2000), Buffer.alloc(150_000, "the same in each of them "), rng.bytes(2000)]),
    ),
    file("srv/version", `${version}\n`),
  ];
  const one = await buildImage({ layers: [base, middle, app(1)] });
  const two = await buildImage({ layers: [...one.layers.slice(0, 2), app(2)] });
  const other = await buildImage({
    layers: [tree(rng, "other", 120_000)],
    platform: { os: "linux", architecture: "arm64" },
  });
  return [
    { name: "app", tag: "1", image: one },
    { name: "app", tag: "2", image: two },
    { name: "site/tools", tag: "latest", image: buildIndex([await buildImage({ layers: [base] }), other]) },
  ];
}

function tree(rng: Rng, name: string, bytes: number): TreeNode[] {
  return [
    directory(name),
    file(`${name}/a`, rng.bytes(bytes)),
    file(`${name}/b`, rng.text(bytes)),
    file(`${name}/none`, ""),
  ];
}

function published(name: string, tag: string, image: KitImage | KitIndex): Published {
  return { name, tag, digest: image.digest, mediaType: image.descriptor.mediaType, bytes: image.bytes };
}
