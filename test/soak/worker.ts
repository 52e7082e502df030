/**
 * One of the processes' users: gives commands, one after the other, at random, each as a process of its own, some of which it kills. The
 * names are its own; the content, and with it every lock, is everybody's.
 */
import { pushTag } from "./push-tag.ts";
import type { Rng } from "../kit/images/rng.ts";
import { startVarve } from "../kit/peers/varve.ts";
import type { PublishedImage } from "../faults/lib/published-image.ts";
import { flagsOf, type Unpacking } from "../faults/lib/unpacking.ts";
import { Model } from "./model.ts";

export interface WorkerOptions {
  /** Its repositories' first part. */
  readonly owner: string;
  readonly host: string;
  readonly root: string;
  readonly home: string;
  readonly images: readonly PublishedImage[];
  /** How its pulls unpack. */
  readonly unpacking: Unpacking;
  readonly rng: Rng;
  /** Part of the commands that are killed. */
  readonly killing: number;
}

export interface Tally {
  readonly commands: Map<string, number>;
  readonly errors: Map<string, number>;
  killed: number;
}

/** What may be said while others change the store, and is no failure: to try again is right. */
const EXPECTED: ReadonlySet<string> = new Set(["STORE_BUSY"]);
/** Commands take so long at most; whatever takes longer hangs. */
const PATIENCE_MS = 180_000;
const ROLLING = "rolling";

export class Worker {
  readonly #options: WorkerOptions;
  readonly model = new Model();
  readonly tally: Tally = { commands: new Map(), errors: new Map(), killed: 0 };
  readonly failures: string[] = [];

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  /** One command, and what follows from it for the model. */
  async act(): Promise<void> {
    const { rng } = this.#options;
    const draw = rng.int(100);
    if (draw < 50) await this.#pull();
    else if (draw < 58) await this.#pullRolling();
    else if (draw < 70) await this.#remove();
    else if (draw < 77) await this.#tag();
    else if (draw < 87) await this.#run(["gc", ...(rng.chance(0.5) ? ["--partials-older-than", "0"] : [])]);
    else if (draw < 94) await this.#prune();
    else if (draw < 98) await this.#look();
    else await this.#run(["fsck"]);
  }

  /** Compares the names with the store's, once more when a command was cut off. */
  async #look(): Promise<void> {
    const { json, killed } = await this.#run(["images"], 0);
    if (killed || json === undefined) return;
    this.failures.push(...this.model.compare(this.#own(json as readonly { name: string; digest: string }[])));
  }

  /** At the end: a last look at its names. */
  settle(): Promise<void> {
    return this.#look();
  }

  get unpacking(): Unpacking {
    return this.#options.unpacking;
  }

  /** The images that have one of its names, as far as it knows. */
  held(): PublishedImage[] {
    return this.model.names().flatMap((name) => this.model.of(name)[0] ?? []);
  }

  #own(rows: readonly { readonly name: string; readonly digest: string }[]): Map<string, string> {
    const { host, owner } = this.#options;
    const own = rows.filter(({ name }) => name.startsWith(`${host}/${owner}/`));
    return new Map(own.map(({ name, digest }) => [name, digest]));
  }

  async #pull(): Promise<void> {
    const image = this.#options.rng.pick(this.#options.images);
    await this.#changing(this.#pullOf(this.#nameOf(image)), this.#nameOf(image), image);
  }

  /** A tag that is moved before it is pulled. */
  async #pullRolling(): Promise<void> {
    const { rng, images, host, owner } = this.#options;
    const image = rng.pick(images);
    const name = `${host}/${owner}/app0:${ROLLING}`;
    await pushTag(host, `${owner}/app0`, ROLLING, image);
    await this.#changing(this.#pullOf(name), name, image);
  }

  #pullOf(name: string): string[] {
    return ["pull", name, ...flagsOf(this.#options.unpacking)];
  }

  async #remove(): Promise<void> {
    const names = this.model.names();
    if (names.length === 0) return;
    const name = this.#options.rng.pick(names);
    await this.#changing(["rm", name], name, undefined);
  }

  async #tag(): Promise<void> {
    const names = this.model.names();
    if (names.length === 0) return;
    const { rng, host, owner } = this.#options;
    const name = rng.pick(names);
    const alias = `${host}/${owner}/alias:${rng.int(3)}`;
    const { killed, code } = await this.#run(["tag", name, alias]);
    if (killed || code === 0) this.model.same(alias, name, { sure: !killed });
  }

  /** Which images go is prune's own choice; only that no others go is for the model. */
  async #prune(): Promise<void> {
    const { rng, host, owner } = this.#options;
    const limit = rng.chance(0.5) ? ["--older-than", "1m"] : ["--keep-storage", rng.pick(["1MB", "5MB", "20MB"])];
    const { json, killed } = await this.#run(["prune", ...limit, "--filter", `${host}/${owner}/**`]);
    const removed = (json as { removed?: readonly { name: string }[] } | undefined)?.removed;
    for (const { name } of removed ?? []) this.model.set(name, undefined);
    if (killed) for (const name of this.model.names()) this.model.maybe(name, undefined);
  }

  async #changing(args: readonly string[], name: string, image: PublishedImage | undefined): Promise<void> {
    const { killed, code } = await this.#run(args);
    if (killed) this.model.maybe(name, image);
    else if (code === 0) this.model.set(name, image);
  }

  #nameOf({ name, tag }: PublishedImage): string {
    return `${this.#options.host}/${name}:${tag}`;
  }

  async #run(
    args: readonly string[],
    killing: number = this.#options.killing,
  ): Promise<{ readonly code: number; readonly killed: boolean; readonly json: unknown }> {
    const { rng, root, home } = this.#options;
    const env = { HOME: home, CONTAINERS_REGISTRIES_CONF: "/dev/null" };
    await using program = startVarve(["--json", "--progress", "none", ...args], { root, env, timeoutMs: PATIENCE_MS });
    const timer = rng.chance(killing) ? setTimeout(() => program.kill("SIGKILL"), rng.between(150, 1500)) : undefined;
    const { code, stdout, stderr } = await program.result;
    clearTimeout(timer);
    const command = args[0] ?? "";
    this.tally.commands.set(command, (this.tally.commands.get(command) ?? 0) + 1);
    const killed = code === 137;
    if (killed) this.tally.killed++;
    const json = parsed(stdout);
    if (code !== 0 && !killed) this.#failed(args, code, json, stderr);
    return { code, killed, json: killed ? undefined : json };
  }

  #failed(args: readonly string[], code: number, json: unknown, stderr: string): void {
    const told = (json as { error?: { code?: string } } | undefined)?.error?.code ?? `exit ${code}`;
    this.tally.errors.set(told, (this.tally.errors.get(told) ?? 0) + 1);
    if (!EXPECTED.has(told))
      this.failures.push(`${args.join(" ")} ended with ${code}: ${JSON.stringify(json)} ${stderr}`);
  }
}

function parsed(stdout: Buffer): unknown {
  try {
    return JSON.parse(stdout.toString());
  } catch {
    return undefined;
  }
}
