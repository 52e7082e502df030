/** The repositories that were pushed to this machine, in its store: the bytes among its blobs, what has what in its metadata. */
import { isVarveError } from "../../errors/varve-error.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES } from "../../oci/manifest.ts";
import type { ManifestRecord, RepositoryKey } from "../../store/repositories.ts";
import type { Store } from "../../store/store.ts";
import type { HostedContent } from "./hosted-content.ts";
import { RegistryError } from "./registry-error.ts";

/** Of one subject's list, which is read as a whole: tens of thousands of them as they usually are. */
const REFERRER_BYTES = 16 * 1024 * 1024;

export function storeRepositories({ content, repositories }: Pick<Store, "content" | "repositories">): HostedContent {
  async function find(name: string, reference: string): Promise<ManifestRecord | undefined> {
    const key = hosted(name);
    const digest = isDigest(reference) ? reference : (await repositories.tag(key, reference))?.digest;
    return digest && repositories.manifest(key, digest);
  }

  async function hasBlob(name: string, digest: Digest): Promise<number | undefined> {
    if ((await repositories.blob(hosted(name), digest)) === undefined) return undefined;
    return (await content.stat(digest))?.size;
  }

  return {
    resolve: async (name, reference) => find(name, reference),
    async manifest(name, reference) {
      const found = await find(name, reference);
      if (found === undefined) return undefined;
      const { digest, mediaType } = found;
      try {
        return { digest, mediaType, bytes: await content.readBytes(digest, MAX_DOCUMENT_BYTES) };
      } catch (error) {
        // Deleted meanwhile; or taken out of the store behind its back, which `fsck` tells of.
        if (isVarveError(error, "BLOB_UNKNOWN")) return undefined;
        throw error;
      }
    },
    async blob(name, digest) {
      if ((await repositories.blob(hosted(name), digest)) === undefined) return undefined;
      const info = await content.stat(digest);
      const read = (start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array> =>
        content.read(digest, { start, end, signal });
      return info && { ...info, read };
    },
    tags: async (name) => (await repositories.tags(hosted(name)))?.map(({ tag }) => tag),
    referrers: (name, subject) => repositories.referrers(hosted(name), subject),
    hasBlob,
    hasManifest: async (name, digest) => (await repositories.manifest(hosted(name), digest)) !== undefined,
    async putManifest(name, { manifest, ...options }) {
      const { subject, descriptor } = options.referrer ?? {};
      const size = descriptor === undefined ? 0 : JSON.stringify(descriptor).length;
      if (subject !== undefined && (await repositories.referrerBytes(hosted(name), subject)) + size > REFERRER_BYTES) {
        throw new RegistryError(413, "MANIFEST_INVALID", `${subject} has too many referrers, or too long ones`);
      }
      return repositories.putManifest(hosted(name), manifest, options);
    },
    async adoptBlob(name, digest, file, signal) {
      const record = ({ size }: { size: number }): Promise<unknown> =>
        repositories.recordBlob(hosted(name), digest, size);
      await content.adopt(digest, file, record, { signal });
    },
    async mountBlob(name, digest, from) {
      const there = await (from === undefined
        ? repositories.findBlob("hosted", digest)
        : repositories.blob(hosted(from), digest));
      return there !== undefined && repositories.addBlob(hosted(name), digest);
    },
    keepBlob: (name, digest) => repositories.addBlob(hosted(name), digest),
    deleteManifest: (name, digest) => repositories.deleteManifest(hosted(name), digest),
    deleteTag: (name, tag) => repositories.deleteTag(hosted(name), tag),
    deleteBlob: (name, digest) => repositories.deleteBlob(hosted(name), digest),
  };
}

function hosted(name: string): RepositoryKey {
  return { origin: "hosted", name };
}
