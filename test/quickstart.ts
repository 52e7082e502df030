/**
 * The main job, end to end on this machine alone: an image of real files goes to a registry on loopback, `varve pull` gets
 * it, `varve unpack` makes its tree, the tree is held to what was pushed, and a second pull moves nothing.
 * Run it with: npm run quickstart
 */
import { existsSync } from "node:fs";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { buildImage } from "./kit/images/build-image.ts";
import { pushImage } from "./kit/images/push-image.ts";
import { runVarve } from "./kit/peers/varve.ts";
import { startRegistry } from "./kit/registry/registry.ts";
import { tempDir } from "./kit/temp-dir.ts";
import { diffTrees } from "./kit/trees/diff-trees.ts";
import { expectedTree } from "./kit/trees/expected-tree.ts";
import { readTree } from "./kit/trees/read-tree.ts";
import { directory, opaque, symlink, whiteout, type TreeNode } from "./kit/trees/tree-node.ts";
import type { PullResult } from "../src/transfer/pull-result.ts";
import type { UnpackResult } from "../src/transfer/unpack.ts";

const CHECKOUT = join(import.meta.dirname, "..");
/** Packages of this checkout: real files, thousands of them, that every fresh clone has. */
const PACKAGES = ["smol-toml", "tar", "undici", "yaml", "zod", "knip", "fast-check", "node/include"];
/** Beyond this the quickstart would be slow. */
const MOST_BYTES = 120 << 20;

const startedAt = performance.now();
const rows: [step: string, moved: string, took: string][] = [];

async function timed<T>(step: string, work: () => Promise<T>, moved: (result: T) => string): Promise<T> {
  const from = performance.now();
  const result = await work();
  rows.push([step, moved(result), `${((performance.now() - from) / 1000).toFixed(2)} s`]);
  return result;
}

await using work = await tempDir("varve-quickstart-");
await using registry = await startRegistry();
const root = join(work.path, "store");
const tree = join(work.path, "rootfs");
const reference = `${registry.host}/quickstart/app:1`;

const layers = await collectLayers();
const image = await buildImage({ layers, config: { Cmd: ["/bin/sh"] } });
const compressed = image.layers.reduce((sum, layer) => sum + layer.bytes.length, 0);
const members = layers.reduce((sum, layer) => sum + layer.length, 0);
await timed(
  `push ${layers.length} layers, ${members} members`,
  () => pushImage(registry.host, "quickstart/app", "1", image),
  () => mib(compressed),
);
const first = await timed(
  "varve pull",
  () => varve<PullResult>("pull", reference),
  ({ bytes }) => mib(bytes.network),
);
const unpacked = await timed(
  "varve unpack",
  () => varve<UnpackResult>("unpack", reference, tree),
  ({ bytes, files }) => `${mib(bytes)} in ${files} files`,
);
const differences = await timed(
  "compare the tree with what was pushed",
  async () => diffTrees(expectedTree(layers), await readTree(tree), comparison()),
  (found) => (found.length === 0 ? "equal" : `${found.length} differences`),
);
const second = await timed(
  "varve pull again",
  () => varve<PullResult>("pull", reference),
  ({ bytes }) => mib(bytes.network),
);

const failures = [
  ...differences.slice(0, 20),
  ...(first.status === "pulled" ? [] : [`the first pull said ${first.status}`]),
  ...(second.status === "up-to-date" ? [] : [`the second pull said ${second.status}`]),
  ...(second.bytes.network === 0 ? [] : [`the second pull moved ${second.bytes.network} bytes`]),
  ...(unpacked.layers === layers.length ? [] : [`${unpacked.layers} layers were unpacked`]),
];
console.log(`${reference}  ${first.digest}\n`);
const width = Math.max(...rows.map(([step]) => step.length));
const middle = Math.max(...rows.map(([, moved]) => moved.length));
for (const [step, moved, took] of rows)
  console.log(`${step.padEnd(width)}  ${moved.padStart(middle)}  ${took.padStart(8)}`);
console.log(
  `\n${failures.length === 0 ? "all as it should be" : failures.join("\n")}, ${((performance.now() - startedAt) / 1000).toFixed(1)} s`,
);
process.exitCode = failures.length === 0 ? 0 : 1;

async function varve<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await runVarve([...args, "--json", "--progress", "none"], { root });
  if (code !== 0) throw new Error(`varve ${args.join(" ")} ended with ${code}\n${stdout.toString()}\n${stderr}`);
  return JSON.parse(stdout.toString()) as T;
}

/** Without root, owners cannot be set, and varve says so; everything else is compared. */
function comparison(): Parameters<typeof diffTrees>[2] {
  return { root: false, ...(process.geteuid?.() !== 0 && { ignore: ["uid", "gid"] as const }) };
}

/** Three layers: packages as they are; links and the project's own sources; an update that deletes and replaces. */
async function collectLayers(): Promise<TreeNode[][]> {
  const base: TreeNode[] = [directory("opt"), directory("opt/lib")];
  let budget = MOST_BYTES;
  for (const name of PACKAGES) {
    const folder = join(CHECKOUT, "node_modules", name);
    if (!existsSync(folder)) continue;
    const nodes = await readNodes(folder, `opt/lib/${name.replace("/", "-")}`);
    budget -= nodes.reduce((sum, { content }) => sum + (content?.length ?? 0), 0);
    if (budget < 0) break;
    base.push(...nodes);
  }
  const app: TreeNode[] = [directory("srv"), ...(await readNodes(join(CHECKOUT, "src"), "srv/app"))];
  const kept = app.find(({ type }) => type === "file");
  if (kept === undefined) throw new Error("the checkout has no sources");
  app.push(
    directory("srv/links"),
    { ...kept, type: "link", path: "srv/links/hard", target: kept.path },
    symlink("srv/links/soft", `/${kept.path}`),
    symlink("srv/links/relative", "../app"),
  );
  const update: TreeNode[] = [
    directory("opt"),
    directory("opt/lib"),
    whiteout("opt/lib/tar"),
    directory("opt/lib/smol-toml"),
    opaque("opt/lib/smol-toml"),
    { type: "file", path: "opt/lib/smol-toml/replaced", content: Buffer.from("by an update\n"), mode: 0o600 },
    directory("srv"),
    directory("srv/links"),
    whiteout("srv/links/soft"),
  ];
  return [base, app, update];
}

async function readNodes(from: string, path: string): Promise<TreeNode[]> {
  const stats = await lstat(from, { bigint: true });
  const facts = { path, mode: Number(stats.mode & 0o7777n), mtime: stats.mtimeNs, uid: 1000, gid: 1000 };
  if (stats.isSymbolicLink()) return [{ ...facts, mode: 0o777, type: "symlink", target: await readlink(from) }];
  if (stats.isFile()) return [{ ...facts, type: "file", content: await readFile(from) }];
  if (!stats.isDirectory()) return [];
  const children: TreeNode[] = [];
  for (const name of (await readdir(from)).sort())
    children.push(...(await readNodes(join(from, name), `${path}/${name}`)));
  return [{ ...facts, type: "directory" }, ...children];
}

function mib(bytes: number): string {
  return `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}
