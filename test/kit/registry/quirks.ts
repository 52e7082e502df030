/**
 * The ways in which real registries differ from the specification or from each other. Each is off by default: a
 * registry without quirks does all that distribution-spec 1.1 asks, plus multi-range answers.
 */
import type { EgressLimit } from "./egress.ts";
import type { UploadTroubles } from "./upload-troubles.ts";

export interface RegistryQuirks {
  /** `false`: no `Docker-Content-Digest` (registries before 2.1, some proxies). */
  readonly digestHeader?: boolean;
  /** Status for HEAD of a manifest, such as 405 or 403. */
  readonly manifestHead?: number;
  /** Status for HEAD of a blob. */
  readonly blobHead?: number;
  /** Manifests' Content-Type gets `; charset=utf-8`, which clients have to strip. */
  readonly contentTypeParameters?: boolean;
  /** `ignore`: always 200 and the whole blob (pull-through caches on a miss). Default `honour`. */
  readonly ranges?: "honour" | "ignore";
  /** What a request for several ranges gets: `multipart` (default), the `whole` blob (S3) or a status (GCS 400, GHCR 501). */
  readonly multiRange?: "multipart" | "whole" | number;
  /** Blobs are answered 307 to a second origin by a signed URL, valid for this many milliseconds. */
  readonly blobRedirect?: { readonly ttlMs?: number };
  /** Blobs come without Content-Length, in chunked transfer coding. */
  readonly blobsWithoutLength?: boolean;
  /** `ETag` on blobs and manifests, `304` for `If-None-Match`, and `412` for an `If-Match` of a manifest that another has replaced. */
  readonly etag?: boolean;
  /** `false`: 404 for the referrers API, and no `OCI-Subject` on pushes (registries of spec 1.0). A status: what the API answers. */
  readonly referrers?: boolean | number;
  /** Whether manifests may refer to others. Default true; false: they are refused, as by registries that know no artifacts. */
  readonly subjects?: boolean;
  /** `false`: the `artifactType` filter of the referrers API is not applied. */
  readonly referrersFilter?: boolean;
  /** Referrers per page, at most. */
  readonly referrersPage?: number;
  /** Tags per page, at most, whatever the client asks for. */
  readonly tagsPage?: number;
  /** `false`: 405 for every push. */
  readonly push?: boolean;
  /** `false`: 405 for every DELETE of content. */
  readonly delete?: boolean;
  /** `false`: a mount is answered 202 with an upload. */
  readonly mount?: boolean;
  /** `false`: POST with `?digest=` is answered 202, so that the body has to be sent again by PUT. */
  readonly monolithicPost?: boolean;
  /** `OCI-Chunk-Min-Length` in bytes: announced, and a chunk after a smaller one is refused. */
  readonly chunkMinLength?: number;
  /** Status of an accepted PATCH (ECR: 201). Default 202. */
  readonly patchStatus?: number;
  /** Status of the PUT that ends an upload (Docker Hub: 204). Default 201. */
  readonly putStatus?: number;
  /** `false`: an upload cannot end with a PUT that brings no bytes (ECR), unless the blob has none. */
  readonly emptyPut?: boolean;
  /**
   * Form of an upload's Location. `query` carries parameters that the client has to keep; `elsewhere` is another origin, which like
   * an object store answers 400 when an Authorization header comes along. Default `path`.
   */
  readonly uploadLocation?: "path" | "absolute" | "query" | "elsewhere";
  /** With `query`: a Location that is not the newest ends the upload (distribution: its state carries the offset). */
  readonly staleLocationEnds?: boolean;
  /** Bytes of a request's body above which it is answered 413 at once, without reading it (proxies before registries). */
  readonly bodyLimit?: number;
  /** Bytes of a request's body above which its connection is reset without an answer (proxies that hang up before their 413 is read). */
  readonly bodyReset?: number;
  /** Status for every PATCH: a registry that takes blobs only whole. */
  readonly patchRefused?: number;
  /** `false`: of a request that breaks off nothing is kept. */
  readonly keepsPartial?: boolean;
  /** What is said of an upload in place of how much of it is there; `false`: nothing. */
  readonly uploadRange?: string | false;
  /** Uploads that get lost and connections that break. */
  readonly uploadTroubles?: UploadTroubles;
  /** Digests and references are not checked on push, so that lying images can be planted. */
  readonly credulous?: boolean;
  /** Bytes of a manifest above which a push is answered 413. Default 4 MiB. */
  readonly manifestLimit?: number;
  /** Blobs are sent only so far as this allows. */
  readonly egress?: EgressLimit;
  /** Header fields added to every answer, such as `Warning` or `Set-Cookie`. */
  readonly headers?: Readonly<Record<string, string>>;
}
