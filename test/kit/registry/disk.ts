/**
 * Where the kit's registry keeps things. Content is held once; what a repository has of it is one small file each:
 *
 *     blobs/<alg>/<hex>                          bytes
 *     repositories/<name>/_blobs/<alg>/<hex>     the repository holds this blob (empty file)
 *     repositories/<name>/_manifests/<alg>/<hex> ... and this manifest (its media type)
 *     repositories/<name>/_tags/<tag>            digest
 *     repositories/<name>/_referrers/<subject>/<manifest>   descriptor, JSON
 *     uploads/                                   bytes received so far
 *
 * No component of a repository's name begins with `_`. Nothing is collected: a deleted blob only leaves its repository.
 */
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { HostedContent, PushedManifest } from "../../../src/daemon/distribution/hosted-content.ts";
import type { ServedBlob, ServedManifest } from "../../../src/daemon/distribution/types.ts";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { isDigest, parseDigest, type Digest } from "../../../src/oci/digest.ts";

const READ_SIZE = 256 * 1024;

export class RegistryDisk implements HostedContent {
  readonly root: string;
  readonly uploads: string;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(root: string) {
    this.root = root;
    this.uploads = join(root, "uploads");
  }

  contentPath(digest: Digest): string {
    return join(this.root, "blobs", pathOf(digest));
  }

  /** Size of the blob, or undefined when this repository lacks it (or nobody has it). */
  async statBlob(name: string | undefined, digest: Digest): Promise<number | undefined> {
    if (name !== undefined && (await sizeOf(this.#in(name, "_blobs", pathOf(digest)))) === undefined) return undefined;
    return sizeOf(this.contentPath(digest));
  }

  hasBlob(name: string, digest: Digest): Promise<number | undefined> {
    return this.statBlob(name, digest);
  }

  /** @param name undefined: whoever has it */
  async blob(name: string | undefined, digest: Digest): Promise<ServedBlob | undefined> {
    const size = await this.statBlob(name, digest);
    const path = this.contentPath(digest);
    async function* read(start: number, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
      if (end > start) yield* createReadStream(path, { start, end: end - 1, highWaterMark: READ_SIZE, signal });
    }
    // Without its path: what is sent goes by the response's `write` then, where the kit counts and cuts it.
    return size === undefined ? undefined : { digest, size, read };
  }

  /** Makes content known to a repository. */
  linkBlob(name: string, digest: Digest): Promise<void> {
    return writeAtomically(this.#in(name, "_blobs", pathOf(digest)), "");
  }

  async adoptBlob(name: string, digest: Digest, file: string): Promise<void> {
    const path = this.contentPath(digest);
    await mkdir(dirname(path), { recursive: true });
    await rename(file, path);
    await this.linkBlob(name, digest);
  }

  async mountBlob(name: string, digest: Digest, from: string | undefined): Promise<boolean> {
    if ((await this.statBlob(from, digest)) === undefined) return false;
    await this.linkBlob(name, digest);
    return true;
  }

  deleteBlob(name: string, digest: Digest): Promise<boolean> {
    return removeFile(this.#in(name, "_blobs", pathOf(digest)));
  }

  async hasManifest(name: string, digest: Digest): Promise<boolean> {
    return (await sizeOf(this.#in(name, "_manifests", pathOf(digest)))) !== undefined;
  }

  async manifest(name: string, reference: Digest | string): Promise<ServedManifest | undefined> {
    const digest = reference.includes(":") ? parseDigest(reference) : await this.tag(name, reference);
    if (digest === undefined) return undefined;
    const mediaType = await readText(this.#in(name, "_manifests", pathOf(digest)));
    if (mediaType === undefined) return undefined;
    return { digest, mediaType, bytes: await readFile(this.contentPath(digest)) };
  }

  /** A condition and the write under it are one step to everybody else. */
  putManifest(name: string, pushed: PushedManifest): Promise<boolean> {
    const mine = this.#writing.then(() => this.#putManifest(name, pushed));
    this.#writing = mine.catch(() => undefined);
    return mine;
  }

  async #putManifest(name: string, { manifest, tags, referrer, when }: PushedManifest): Promise<boolean> {
    if (when !== undefined && !when.is(await this.#now(name, when.reference))) return false;
    await writeAtomically(this.contentPath(manifest.digest), manifest.bytes);
    await writeAtomically(this.#in(name, "_manifests", pathOf(manifest.digest)), manifest.mediaType);
    for (const tag of tags) await writeAtomically(this.#in(name, "_tags", tag), manifest.digest);
    if (referrer !== undefined) await this.#addReferrer(name, referrer.subject, referrer.descriptor);
    return true;
  }

  async #now(name: string, reference: string): Promise<Digest | undefined> {
    if (!isDigest(reference)) return this.tag(name, reference);
    return (await this.hasManifest(name, reference)) ? reference : undefined;
  }

  /** Removes the manifest, every tag that points to it, and its entry among the referrers of its subject. */
  async deleteManifest(name: string, digest: Digest): Promise<boolean> {
    if (!(await removeFile(this.#in(name, "_manifests", pathOf(digest))))) return false;
    for (const tag of (await this.tags(name)) ?? []) {
      if ((await this.tag(name, tag)) === digest) await this.deleteTag(name, tag);
    }
    for (const subject of await list(this.#in(name, "_referrers"))) {
      await removeFile(this.#in(name, "_referrers", subject, flat(digest)));
    }
    return true;
  }

  async tag(name: string, tag: string): Promise<Digest | undefined> {
    const digest = await readText(this.#in(name, "_tags", tag));
    return digest === undefined ? undefined : parseDigest(digest);
  }

  deleteTag(name: string, tag: string): Promise<boolean> {
    return removeFile(this.#in(name, "_tags", tag));
  }

  /** Tags in lexical order, or undefined when nothing was ever pushed to this repository. */
  async tags(name: string): Promise<string[] | undefined> {
    const known = (await list(this.#in(name))).some((entry) => entry === "_manifests" || entry === "_blobs");
    return known ? (await list(this.#in(name, "_tags"))).sort() : undefined;
  }

  #addReferrer(name: string, subject: Digest, descriptor: Descriptor): Promise<void> {
    const path = this.#in(name, "_referrers", flat(subject), flat(descriptor.digest));
    return writeAtomically(path, JSON.stringify(descriptor));
  }

  async referrers(name: string, subject: Digest): Promise<Descriptor[]> {
    const dir = this.#in(name, "_referrers", flat(subject));
    const files = (await list(dir)).sort();
    return Promise.all(files.map(async (file) => JSON.parse(await readFile(join(dir, file), "utf8")) as Descriptor));
  }

  #in(name: string, ...rest: string[]): string {
    return join(this.root, "repositories", name, ...rest);
  }
}

function pathOf(digest: Digest): string {
  return digest.replace(":", "/");
}

function flat(digest: Digest): string {
  return digest.replace(":", "-");
}

async function absent<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await absent(stat(path)))?.size;
}

function readText(path: string): Promise<string | undefined> {
  return absent(readFile(path, "utf8"));
}

/** Entries, without the files that are being written. */
async function list(path: string): Promise<string[]> {
  return ((await absent(readdir(path))) ?? []).filter((name) => !name.startsWith("."));
}

async function removeFile(path: string): Promise<boolean> {
  return (await absent(rm(path).then(() => true))) ?? false;
}

/** Readers see the old file or the new one, never a part. */
async function writeAtomically(path: string, data: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = join(dirname(path), `.${randomUUID()}`);
  await writeFile(temporary, data);
  await rename(temporary, path);
}
