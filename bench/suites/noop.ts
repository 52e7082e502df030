/**
 * What a pull costs that has nothing to do, next to `varve version`, which is the floor of starting this program at all: from a
 * checkout and as installed, by tag (one HEAD) from a registry with plain HTTP and one with TLS, and by digest (no request).
 *
 *   npm run bench -- noop [--runs 41] [--from checkout,installed]
 *
 * Contenders alternate, the registry is another process, medians are quoted: as a multiple of the median of `varve version`. Beside them
 * runs lib/noop-floor.mjs, a bare script with the same libraries and the same request.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Agent } from "undici";
import { buildImage, type KitImage } from "../../test/kit/images/build-image.ts";
import { pushImage } from "../../test/kit/images/push-image.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { makeCertificate } from "../../test/kit/tls/certificate.ts";
import { startRegistryProcess, type RegistryProcess } from "../lib/registry-process.ts";

const HERE = join(import.meta.dirname, "../..");

const FLOOR = join(import.meta.dirname, "../lib/noop-floor.mjs");

interface Contender {
  readonly name: string;
  /** Default: varve. */
  readonly program?: string;
  readonly args: readonly string[];
  /** Requests that each run may make of this registry. */
  readonly expected?: { readonly of: RegistryProcess; readonly requests: readonly string[] };
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { runs: { type: "string", default: "41" }, from: { type: "string", default: "checkout,installed" } },
  });
  await using own = await tempDir("varve-noop-");
  const image = await smallImage();
  const { cert, key } = makeCertificate();
  const authorities = join(own.path, "authorities.pem");
  await writeFile(authorities, cert);
  await using plain = await startRegistryProcess();
  await using secure = await startRegistryProcess({ tls: { key, cert } });
  await pushImage(plain.host, "small", "1", image);
  const trusting = new Agent({ connect: { ca: cert } });
  await pushImage(secure.host, "small", "1", image, { scheme: "https", dispatcher: trusting });
  await trusting.close();
  const store = join(own.path, "store");
  const root = ["--root", store, "-q"];
  const tls = ["--ca-file", authorities];
  const head = ["HEAD /v2/small/manifests/1"];
  const contenders: readonly Contender[] = [
    { name: "version", args: ["version"] },
    {
      name: "tag, plain HTTP",
      args: [...root, "pull", `${plain.host}/small:1`],
      expected: { of: plain, requests: head },
    },
    {
      name: "tag, TLS",
      args: [...root, ...tls, "pull", `${secure.host}/small:1`],
      expected: { of: secure, requests: head },
    },
    {
      name: "digest",
      args: [...root, "pull", `${plain.host}/small@${image.digest}`],
      expected: { of: plain, requests: [] },
    },
    { name: "images", args: [...root, "images"] },
    {
      name: "floor of a pull, HTTP",
      program: FLOOR,
      args: [`http://${plain.host}/v2/small/manifests/1`, join(store, "meta.db")],
      expected: { of: plain, requests: head },
    },
  ];
  for (const from of values.from.split(",")) {
    const program = from === "installed" ? await install(own.path) : join(HERE, "bin/varve.js");
    await race(from, program, contenders, { runs: Number(values.runs), cache: join(own.path, "cache") });
  }
}

async function smallImage(): Promise<KitImage> {
  const layer = (name: string) => [{ type: "file" as const, path: name, content: Buffer.from(name.repeat(2000)) }];
  return await buildImage({ layers: ["one", "two", "three"].map(layer) });
}

/** As npm lays it out: below a node_modules, with what was built and the dependencies beside it. */
async function install(dir: string): Promise<string> {
  const place = join(dir, "installed/node_modules/varve");
  await mkdir(place, { recursive: true });
  await runOk(process.execPath, ["tools/bundle.mjs", join(place, "dist")], { cwd: HERE });
  await cp(join(HERE, "bin"), join(place, "bin"), { recursive: true });
  await cp(join(HERE, "package.json"), join(place, "package.json"));
  await symlink(join(HERE, "node_modules"), join(place, "node_modules"));
  return join(place, "bin/varve.js");
}

async function race(
  from: string,
  program: string,
  contenders: readonly Contender[],
  { runs, cache }: { readonly runs: number; readonly cache: string },
): Promise<void> {
  const node = { name: "node, an empty program", args: ["-e", "0"] };
  const times = new Map<string, number[]>([node, ...contenders].map(({ name }) => [name, []]));
  const env = { ...process.env, XDG_CACHE_HOME: cache };
  // The first rounds fill the store and the compile cache.
  for (let run = -3; run < runs; run++) {
    const nodeTook = await timed(node.args, env);
    if (run >= 0) times.get(node.name)?.push(nodeTook);
    for (const { name, program: own, args, expected } of contenders) {
      await expected?.of.requests();
      const took = await timed([own ?? program, ...args], env);
      if (run < 0) continue;
      times.get(name)?.push(took);
      const asked = await expected?.of.requests();
      if (asked?.join() !== expected?.requests.join()) throw new Error(`${name} asked for ${asked?.join(", ")}`);
    }
  }
  report(from, times);
}

/** Milliseconds until the program has ended. */
async function timed(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "inherit"] });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}`);
  return performance.now() - startedAt;
}

function report(from: string, times: ReadonlyMap<string, readonly number[]>): void {
  const floor = times.get("version") ?? [];
  console.log(`\n${from}`);
  for (const [name, all] of times) {
    const ratio = (pick: (all: readonly number[]) => number): string => (pick(all) / pick(floor)).toFixed(2);
    console.log(
      `  ${name.padEnd(24)} median ${ms(median(all))}, best ${ms(best(all))}; ` +
        `of version: median ${ratio(median)}, best ${ratio(best)}`,
    );
  }
}

function ms(value: number): string {
  return `${value.toFixed(1).padStart(6)} ms`;
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN;
}

function best(times: readonly number[]): number {
  return Math.min(...times);
}
