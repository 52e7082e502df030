/**
 * Where the kit's registry keeps things. Content is held once; what a repository has of it is one small file each:
 *
 *     blobs/<alg>/<hex>                          bytes
 *     repositories/<name>/_blobs/<alg>/<hex>     the repository holds this blob (empty file)
 *     repositories/<name>/_manifests/<alg>/<hex> ... and this manifest (its media type)
 *     repositories/<name>/_tags/<tag>            digest
 *     repositories/<name>/_referrers/<subject>/<manifest>   descriptor, JSON
 *     repositories/<name>/_uploads/<id>          bytes received so far
 *
 * No component of a repository's name begins with `_`. Nothing is collected: a deleted blob only leaves its repository.
 */
import { statSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { parseDigest, type Digest } from "../../../src/oci/digest.ts";
import type { Descriptor } from "../../../src/oci/descriptor.ts";

export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

export class RegistryDisk {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  contentPath(digest: Digest): string {
    return join(this.root, "blobs", pathOf(digest));
  }

  /** Size of the blob, or undefined when this repository lacks it (or nobody has it). */
  async statBlob(name: string | undefined, digest: Digest): Promise<number | undefined> {
    if (name !== undefined && (await sizeOf(this.#in(name, "_blobs", pathOf(digest)))) === undefined) return undefined;
    return sizeOf(this.contentPath(digest));
  }

  /** Makes content known to a repository. */
  linkBlob(name: string, digest: Digest): Promise<void> {
    return writeAtomically(this.#in(name, "_blobs", pathOf(digest)), "");
  }

  /** Takes a finished file over as content of a repository. */
  async adoptBlob(name: string, digest: Digest, file: string): Promise<void> {
    const path = this.contentPath(digest);
    await mkdir(dirname(path), { recursive: true });
    await rename(file, path);
    await this.linkBlob(name, digest);
  }

  deleteBlob(name: string, digest: Digest): Promise<boolean> {
    return removeFile(this.#in(name, "_blobs", pathOf(digest)));
  }

  async manifest(name: string, reference: Digest | string): Promise<StoredManifest | undefined> {
    const digest = reference.includes(":") ? parseDigest(reference) : await this.tag(name, reference);
    if (digest === undefined) return undefined;
    const mediaType = await readText(this.#in(name, "_manifests", pathOf(digest)));
    if (mediaType === undefined) return undefined;
    return { digest, mediaType, bytes: await readFile(this.contentPath(digest)) };
  }

  async putManifest(name: string, manifest: StoredManifest, tags: readonly string[]): Promise<void> {
    await writeAtomically(this.contentPath(manifest.digest), manifest.bytes);
    await writeAtomically(this.#in(name, "_manifests", pathOf(manifest.digest)), manifest.mediaType);
    for (const tag of tags) await writeAtomically(this.#in(name, "_tags", tag), manifest.digest);
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

  addReferrer(name: string, subject: Digest, descriptor: Descriptor): Promise<void> {
    const path = this.#in(name, "_referrers", flat(subject), flat(descriptor.digest));
    return writeAtomically(path, JSON.stringify(descriptor));
  }

  async referrers(name: string, subject: Digest): Promise<Descriptor[]> {
    const dir = this.#in(name, "_referrers", flat(subject));
    const files = (await list(dir)).sort();
    return Promise.all(files.map(async (file) => JSON.parse(await readFile(join(dir, file), "utf8")) as Descriptor));
  }

  async newUpload(name: string): Promise<string> {
    const id = randomUUID();
    await writeAtomically(this.uploadPath(name, id), "");
    return id;
  }

  uploadPath(name: string, id: string): string {
    return this.#in(name, "_uploads", id);
  }

  /** Without waiting, so that a body can be received from the turn in which its request came. */
  uploadSize(name: string, id: string): number | undefined {
    return statSync(this.uploadPath(name, id), { throwIfNoEntry: false })?.size;
  }

  deleteUpload(name: string, id: string): Promise<boolean> {
    return removeFile(this.uploadPath(name, id));
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
