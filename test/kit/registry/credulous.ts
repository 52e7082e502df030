/** A registry that checks nothing, so that lying images can be planted: manifests under any digest, blobs under the one that is claimed. */
import { answer, readBody, type Exchange } from "../../../src/daemon/distribution/exchange.ts";
import { RegistryError } from "../../../src/daemon/distribution/registry-error.ts";
import type { Uploads } from "../../../src/daemon/distribution/uploads.ts";
import type { Upload } from "../../../src/daemon/distribution/upload.ts";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestOf, isDigest, parseDigest, type Digest } from "../../../src/oci/digest.ts";
import { MAX_DOCUMENT_BYTES } from "../../../src/oci/manifest.ts";
import type { RegistryDisk } from "./disk.ts";

type Document = Partial<Descriptor> & { readonly config?: Descriptor; readonly subject?: Descriptor };

export async function putAnything(
  exchange: Exchange,
  disk: RegistryDisk,
  name: string,
  reference: Digest | string,
): Promise<void> {
  const { request, query, options } = exchange;
  const bytes = await readBody(request, options.limits?.manifestBytes ?? MAX_DOCUMENT_BYTES, "MANIFEST_INVALID");
  const document = parseLoosely(bytes);
  const mediaType = request.headers["content-type"] ?? document.mediaType ?? "application/octet-stream";
  const digest = isDigest(reference) ? reference : digestOf(bytes);
  const tags = isDigest(reference) ? query.getAll("tag") : [reference];
  const subject = isDigest(document.subject?.digest) ? document.subject.digest : undefined;
  const { artifactType = document.config?.mediaType, annotations } = document;
  const descriptor: Descriptor = {
    mediaType,
    digest,
    size: bytes.length,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations !== undefined && { annotations }),
  };
  const condition = request.headers["if-match"];
  const put = await disk.putManifest(name, {
    manifest: { digest, mediaType, bytes },
    tags,
    ...(subject !== undefined && { referrer: { subject, descriptor } }),
    ...(condition !== undefined && { when: { reference, is: (now) => condition === `"${now}"` } }),
  });
  if (!put) throw new RegistryError(412, "MANIFEST_INVALID", `${reference} is not what it was`);
  answer(exchange, 201, {
    location: `/v2/${name}/manifests/${digest}`,
    "docker-content-digest": digest,
    ...(isDigest(reference) && tags.length > 0 && { "oci-tag": tags }),
    ...(subject !== undefined && { "oci-subject": subject }),
  });
}

/** Uploads whose bytes are what the client says of them. */
export function believing(uploads: Uploads, claimed: () => string | null): Pick<Uploads, "start" | "find"> {
  const believe = (upload: Upload | undefined): void => {
    const digest = claimed();
    if (upload !== undefined && digest !== null) upload.digest = async () => parseDigest(digest);
  };
  return {
    async start(name, algorithm) {
      const upload = await uploads.start(name, algorithm);
      believe(upload);
      return upload;
    },
    async find(name, id) {
      const upload = await uploads.find(name, id);
      believe(upload);
      return upload;
    },
  };
}

function parseLoosely(bytes: Buffer): Document {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}
