/**
 * The one table of coded errors: what each code means for the exit status, for HTTP, and the hint a user gets when
 * the place that raises it has none better. Exit codes: 1 failed, 2 wrong usage, 3 not found, 4 not authorised,
 * 5 verification failed, 6 busy, 130 interrupted.
 */
export interface ErrorRow {
  readonly exit: 1 | 2 | 3 | 4 | 5 | 6 | 130;
  readonly http: number;
  readonly hint: string;
}

const row = (exit: ErrorRow["exit"], http: number, hint: string): ErrorRow => ({ exit, http, hint });

export const ERROR_TABLE = {
  // usage and values
  USAGE: row(2, 400, "see varve --help"),
  REFERENCE_INVALID: row(2, 400, "write it as [docker://]HOST[:PORT]/NAME[:TAG][@DIGEST], in lower case"),
  DIGEST_INVALID: row(2, 400, "write it as sha256:<64 hex digits> or sha512:<128 hex digits>"),
  PLATFORM_INVALID: row(2, 400, "write it as OS/ARCH[/VARIANT], for example linux/arm64"),
  // documents from outside
  MANIFEST_INVALID: row(1, 502, "the image is broken; ask whoever pushed it to push it again"),
  MANIFEST_TOO_LARGE: row(1, 502, "manifests and configs may have 4 MiB at most"),
  MANIFEST_UNSUPPORTED: row(1, 415, "push the image again with a current tool, as OCI or Docker schema 2"),
  CONFIG_INVALID: row(1, 502, "the image is broken; ask whoever pushed it to push it again"),
  MEDIA_TYPE_UNSUPPORTED: row(1, 415, "this kind of layer or artifact is not one that varve reads"),
  // found or not
  IMAGE_NOT_FOUND: row(3, 404, "varve images lists what the store holds; varve pull gets more"),
  MANIFEST_UNKNOWN: row(3, 404, "check the name and the tag"),
  REPOSITORY_UNKNOWN: row(3, 404, "create the repository or project at the registry first, or check the name"),
  BLOB_UNKNOWN: row(3, 404, "the registry lacks a part of the image; ask whoever pushed it to push it again"),
  PLATFORM_NOT_FOUND: row(3, 404, "choose one of them with --platform"),
  FILE_NOT_FOUND: row(3, 404, "check the path"),
  // authorisation
  UNAUTHORIZED: row(4, 401, "log in with: varve login HOST"),
  DENIED: row(4, 403, "the account may not read this; check its rights, or log in with another: varve login HOST"),
  CREDENTIALS_INVALID: row(4, 401, "check the file or the helper program it names"),
  CREDENTIAL_HELPER_FAILED: row(
    4,
    401,
    "run the credential helper by hand to see why, or log in with: varve login HOST",
  ),
  // verification
  DIGEST_MISMATCH: row(5, 502, "the bytes are not what the digest says; try again, or try another mirror"),
  SIZE_MISMATCH: row(5, 502, "the bytes are not as many as the manifest says; try again, or try another mirror"),
  DIFFID_MISMATCH: row(5, 502, "the layer's content is not what the image's config says; the image is broken"),
  COPY_DIFFERS: row(5, 500, "copy it again, and check the disks and the memory of this machine"),
  // recipes
  RECIPE_INVALID: row(1, 502, "the image's index or delta is broken; the image can still be pulled whole"),
  SOURCE_CHANGED: row(1, 500, "a local file changed while it was in use; try again, it will be left aside"),
  // registry and network
  REGISTRY_UNREACHABLE: row(1, 502, "check the host, the network and the proxy settings"),
  REGISTRY_TLS: row(1, 502, "name the authority with --ca-file, or use --insecure if you accept the risk"),
  REGISTRY_TIMEOUT: row(1, 504, "the registry did not answer in time; try again"),
  REGISTRY_UNAVAILABLE: row(1, 503, "the registry failed or refused for now; try again later"),
  REGISTRY_RATE_LIMITED: row(1, 429, "wait, log in for a higher limit, or use a mirror"),
  REGISTRY_QUOTA: row(
    1,
    429,
    "what came is kept: run the same command again later, use a mirror, or wait longer with --retry-max-time",
  ),
  REGISTRY_PROTOCOL: row(1, 502, "the registry does not keep to the distribution specification"),
  REGISTRY_BLOCKED: row(1, 403, "registries.conf blocks this registry"),
  UPSTREAM_REFUSED: row(1, 403, "name the registry among the upstreams of the daemon's configuration"),
  MIRROR_LOOP: row(
    1,
    508,
    "let hosts.toml and the daemon's upstreams name registries, and not the daemon that mirrors them",
  ),
  RANGE_UNSUPPORTED: row(1, 502, "the registry cannot resume; the blob must be fetched from its start"),
  CONFIGURATION_INVALID: row(2, 400, "correct the file that is named"),
  // layers
  LAYER_INVALID: row(1, 502, "the layer is not a tar that can be applied; the image is broken"),
  LAYER_LIMIT: row(1, 502, "the layer passes a safety limit; raise it if you trust the image"),
  LAYER_ESCAPES: row(1, 502, "the layer tries to reach outside its root; do not trust the image"),
  COMPRESSION_INVALID: row(1, 502, "the compressed data is broken; the image is broken"),
  DECOMPRESSOR_FAILED: row(1, 500, "leave it to varve's own decoder: --decompressor builtin"),
  TAR_SPLIT_INVALID: row(1, 500, "the layer's metadata is damaged; pull the image again"),
  TOC_INVALID: row(1, 502, "the layer's table of contents is broken; the layer can still be pulled whole"),
  TOC_LIMIT: row(1, 502, "the layer's table of contents passes a safety limit; the layer can still be pulled whole"),
  TAR_SPLIT_REFUSED: row(1, 500, "this tar cannot be rebuilt from its tree; its bytes are kept instead"),
  ARCHIVE_INVALID: row(1, 400, "the archive is not an image archive, or is damaged"),
  // deltas
  DELTA_INVALID: row(1, 502, "the delta is damaged or none at all; make it or get it again"),
  DELTA_LIMIT: row(1, 400, "the deltas pass a safety limit; make one of the two files themselves"),
  DELTA_BASE_DIFFERS: row(1, 409, "the delta was made from another file; name the one that it was made from"),
  DELTA_BASE_MISSING: row(
    3,
    404,
    "pull the image that the delta was made from first, or name a store that has it with --delta-root",
  ),
  DELTA_IMAGE_INVALID: row(
    1,
    502,
    "the delta image is broken; make it again: varve delta create, or pull the target itself",
  ),
  DELTA_NOT_FOUND: row(3, 404, "allow other ways with --delta auto, or make one: varve delta create"),
  SIGNATURE_INVALID: row(1, 400, "the file is damaged or no signature; make it again: varve rdiff signature"),
  SIGNATURE_LIMIT: row(1, 400, "make it with larger blocks: varve rdiff signature --block-size"),
  // disks of virtual machines
  DISK_UNREADABLE: row(1, 400, "make it a raw disk first: qemu-img convert -O raw"),
  // store and file system
  STORE_NEWER: row(1, 500, "update varve, or use another store with --root"),
  STORE_CORRUPT: row(1, 500, "the store's metadata is damaged; move it away and pull again, blobs are kept"),
  STORE_BUSY: row(6, 409, "another process is at work on it; try again, or leave out --no-wait"),
  STORE_READ_ONLY: row(1, 500, "choose a place that can be written with --root"),
  INGEST_LIMIT: row(1, 500, "more bytes came than were announced"),
  NO_SPACE: row(1, 507, "free some space, or choose another place with --root"),
  PERMISSION: row(1, 500, "check who owns the path, or run as another user"),
  TARGET_NOT_EMPTY: row(2, 409, "choose a directory that is empty or does not exist"),
  FILE_EXISTS: row(2, 409, "choose another path, or replace what is there with --force"),
  PATH_INVALID: row(2, 400, "check the path"),
  IO: row(1, 500, "check the disk and the path"),
  FFI_UNAVAILABLE: row(1, 500, "this system or file system lacks what is needed"),
  // the daemon
  DAEMON_RUNNING: row(6, 409, "stop the other daemon, or give this one another --root, --socket or --listen"),
  DAEMON_BUSY: row(6, 503, "wait a little and ask again"),
  LISTEN_FAILED: row(1, 500, "choose another place to listen at with --socket or --listen"),
  // snapshots
  SNAPSHOT_NOT_FOUND: row(3, 404, "varve snapshots ls lists what there is"),
  SNAPSHOT_EXISTS: row(1, 409, "choose another key, or remove the other one: varve snapshots rm KEY"),
  SNAPSHOT_STATE: row(1, 409, "varve snapshots ls shows kinds and parents"),
  SNAPSHOT_INVALID: row(2, 400, "see varve snapshots --help"),
  DRIVER_UNAVAILABLE: row(1, 500, "varve snapshots ls --drivers tells what each driver needs"),
  MOUNT_FAILED: row(1, 500, "varve snapshots ls --drivers tells what can be mounted here"),
  INDEX_INVALID: row(1, 500, "the layer's index is damaged; varve fsck --repair makes it anew"),
  // jobs
  JOB_NOT_FOUND: row(3, 404, "ended jobs are forgotten after some days; the list of jobs tells what there is"),
  JOB_INVALID: row(2, 400, "correct what the job was given"),
  JOB_LOST: row(1, 409, "somebody else is at work on the job now, or it was cancelled"),
  JOB_ABANDONED: row(
    1,
    500,
    "whoever worked on it ended each time without a word; look for crashes and lack of memory",
  ),
  QUEUE_FULL: row(6, 429, "wait until some of the jobs have ended, or let more workers work"),
  QUEUE_UNAVAILABLE: row(1, 503, "check the database server and the queue's URL"),
  QUEUE_CORRUPT: row(1, 500, "an empty queue has taken its place; add what is missing again"),
  // the daemon's API
  REQUEST_INVALID: row(2, 400, "see /docs of the daemon for what each route takes"),
  REQUEST_TOO_LARGE: row(2, 413, "send less, or raise the daemon's limits"),
  CONTENT_TYPE_UNSUPPORTED: row(2, 415, "send JSON, with Content-Type: application/json"),
  ROUTE_UNKNOWN: row(3, 404, "see /docs of the daemon for the routes that there are"),
  METHOD_NOT_ALLOWED: row(2, 405, "the Allow header names what this path takes"),
  TOO_MANY_REQUESTS: row(6, 429, "wait, or close what is open"),
  DAEMON_UNREACHABLE: row(1, 502, "check that varve serve runs, and where it listens"),
  DISKS_CLOSED: row(4, 403, "the daemon's diskDirectory says where disks may be read and written over the API"),
  PAGE_NOT_BUILT: row(3, 404, "build it with: npm run build:page, and start the daemon again"),
  // run
  INTERRUPTED: row(130, 499, "run the same command again: it goes on where it stopped"),
  INTERNAL: row(1, 500, "this is a bug in varve; please report it with the output of --debug"),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERROR_TABLE;
