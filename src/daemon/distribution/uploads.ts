/**
 * Blobs on their way in, below one directory: `ID.json` says whose an upload is, `ID.data` is what came of it. What is in the file is what is
 * there, so a client goes on with it after the connection broke, and after this process was started anew.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import type { DigestAlgorithm } from "../../oci/digest.ts";
import { RegistryError } from "./registry-error.ts";
import { Upload, type UploadFacts } from "./upload.ts";

export interface UploadsOptions {
  /** In the file system of the content that they become. Made when it is missing. */
  readonly directory: string;
  /** At once. Default 1000. */
  readonly most?: number;
  /** What nobody has touched for so long is given up. Default: a day. */
  readonly maxAgeMs?: number;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** When there is no room for another: what nobody has touched for so long makes some. */
const IDLE_MS = 10 * 60 * 1000;
const SWEEPS_AN_AGE = 24;
const DATA = ".data";
const FACTS = ".json";

export class Uploads {
  readonly #directory: string;
  readonly #most: number;
  readonly #maxAgeMs: number;
  readonly #now: () => number;
  /** Those that this process knows of; all that there are, once it has looked. */
  readonly #known = new Map<string, Upload>();
  #loading: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: UploadsOptions) {
    this.#directory = options.directory;
    this.#most = options.most ?? 1000;
    this.#maxAgeMs = options.maxAgeMs ?? DAY_MS;
    this.#now = options.now ?? Date.now;
  }

  /** @throws RegistryError 429 when there are too many; VarveError `NO_SPACE`, `IO` ... */
  async start(name: string, algorithm: DigestAlgorithm): Promise<Upload> {
    await this.#load();
    await this.sweep();
    if (this.#known.size >= this.#most) await this.#makeRoom();
    const id = randomUUID();
    const upload = this.#remember({ id, name, algorithm }, 0, this.#now());
    try {
      await writeFile(this.#path(id, DATA), "", { mode: 0o600, flag: "wx" });
      await writeFile(this.#path(id, FACTS), JSON.stringify({ name, algorithm }), { mode: 0o600 });
      return upload;
    } catch (error) {
      await upload.discard().catch(() => undefined);
      throw toVarveError(error, "starting an upload");
    }
  }

  /** What came before its connection broke is counted. @returns undefined when there is none of this repository */
  async find(name: string, id: string): Promise<Upload | undefined> {
    await this.#load();
    const upload = this.#known.get(id);
    await upload?.settled();
    return upload?.name === name && !upload.hasEnded ? upload : undefined;
  }

  /** Gives up what nobody has touched for long; does so again by itself as long as there are any. @returns how many */
  async sweep(): Promise<number> {
    await this.#load();
    this.#sweepLater();
    const old = [...this.#known.values()].filter(
      (upload) => !upload.isBusy && this.#now() - upload.touchedAt > this.#maxAgeMs,
    );
    for (const upload of old) await upload.discard();
    return old.length;
  }

  /** It keeps no process alive: the next one sweeps as well. */
  #sweepLater(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#known.size > 0) void this.sweep().catch(() => undefined);
    }, this.#maxAgeMs / SWEEPS_AN_AGE);
    this.#timer.unref();
  }

  async #makeRoom(): Promise<void> {
    const idle = [...this.#known.values()]
      .filter((upload) => !upload.isBusy && this.#now() - upload.touchedAt > IDLE_MS)
      .sort((one, other) => one.touchedAt - other.touchedAt)[0];
    if (idle === undefined) throw new RegistryError(429, "TOOMANYREQUESTS", `${this.#most} uploads are under way`);
    await idle.discard();
  }

  #remember(facts: UploadFacts, size: number, touchedAt: number): Upload {
    const upload = new Upload(facts, {
      path: this.#path(facts.id, DATA),
      size,
      touchedAt,
      now: this.#now,
      onEnd: async () => {
        this.#known.delete(facts.id);
        await this.#remove(facts.id);
      },
    });
    this.#known.set(facts.id, upload);
    return upload;
  }

  #load(): Promise<void> {
    this.#loading ??= this.#read().catch((error: unknown) => {
      this.#loading = undefined;
      throw toVarveError(error, "looking for uploads");
    });
    return this.#loading;
  }

  /** What an earlier process left. */
  async #read(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const files = await readdir(this.#directory);
    const there = new Set(files);
    for (const file of files) {
      // It died between the two removals of one that had ended.
      if (file.endsWith(FACTS) && !there.has(file.slice(0, -FACTS.length) + DATA)) {
        await rm(join(this.#directory, file), { force: true });
      }
      if (!file.endsWith(DATA)) continue;
      const id = file.slice(0, -DATA.length);
      const facts = await readFacts(id, this.#path(id, FACTS));
      const { size, mtimeMs } = await stat(join(this.#directory, file));
      if (facts === undefined) await this.#remove(id);
      else this.#remember(facts, size, mtimeMs);
    }
  }

  async #remove(id: string): Promise<void> {
    for (const end of [DATA, FACTS]) await rm(this.#path(id, end), { force: true });
  }

  #path(id: string, end: string): string {
    return join(this.#directory, id + end);
  }
}

/** Undefined when it died before it was told to anybody, or a power cut took what it was. */
async function readFacts(id: string, path: string): Promise<UploadFacts | undefined> {
  try {
    const { name, algorithm } = JSON.parse(await readFile(path, "utf8")) as Partial<UploadFacts>;
    if (typeof name !== "string" || (algorithm !== "sha256" && algorithm !== "sha512")) return undefined;
    return { id, name, algorithm };
  } catch {
    return undefined;
  }
}
