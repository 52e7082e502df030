/**
 * Whose content a name under `/v2/` stands for. In this order: the registry that the client names (`?ns=`, containerd and Docker), the one that the
 * name begins with (`/v2/docker.io/library/debian/...`, podman and CRI-O), what was pushed here, and where that has nothing the registry of names
 * without one (Docker's `registry-mirrors`).
 */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Daemon } from "../daemon.ts";
import type { Asked, ContentSource, ServedBlob, ServedManifest } from "../distribution/types.ts";
import { isOwnAddress } from "./addresses.ts";
import { isHostLike, upstreamHost } from "./upstream-name.ts";
import { ruleFor } from "./upstreams.ts";

export interface RouteOptions {
  readonly daemon: Pick<Daemon, "config">;
  /** What was pushed here. */
  readonly hosted: ContentSource;
  /** By names that begin with a host. */
  readonly mirror: ContentSource;
  /** TCP ports that this daemon listens on. */
  readonly ownPorts: () => readonly number[];
}

interface Place {
  readonly source: ContentSource;
  readonly name: string;
}

export function routedSource(options: RouteOptions): ContentSource {
  /** The first answer that is one. */
  const first = async <T>(
    name: string,
    asked: Asked,
    ask: (place: Place) => Promise<T | undefined>,
  ): Promise<T | undefined> => {
    for (const place of await placesFor(name, asked, options)) {
      const answer = await ask(place);
      if (answer !== undefined) return answer;
    }
    return undefined;
  };
  return {
    resolve: (name, reference, asked) =>
      first(name, asked, async ({ source, name: there }) => {
        if (source.resolve !== undefined) return await source.resolve(there, reference, asked);
        const found = await source.manifest(there, reference, asked);
        return found && summary(found);
      }),
    manifest: (name, reference, asked) =>
      first<ServedManifest>(name, asked, ({ source, name: there }) => source.manifest(there, reference, asked)),
    blob: (name, digest, asked) =>
      first<ServedBlob>(name, asked, ({ source, name: there }) => source.blob(there, digest, asked)),
    tags: (name, asked) => first(name, asked, ({ source, name: there }) => source.tags(there, asked)),
    referrers: (name, subject, asked) => referrers(name, subject, asked, options),
    writable: async (name, asked) => (await placesFor(name, asked, options))[0]?.source === options.hosted,
  };
}

/** Where a name may be found, the likeliest place first. @throws VarveError `REFERENCE_INVALID` for a namespace that is no host */
async function placesFor(name: string, asked: Asked, options: RouteOptions): Promise<readonly Place[]> {
  const { hosted, mirror, daemon, ownPorts } = options;
  const config = daemon.config().mirror;
  const here = { source: hosted, name };
  if (asked.namespace !== undefined) {
    const host = upstreamHost(asked.namespace);
    // Who has this daemon as the mirror of all registries asks it for its own images by its own name.
    const isHere = ruleFor(config, host)?.host !== host && (await isOwnAddress(host, ownPorts()));
    return [isHere ? here : { source: mirror, name: `${host}/${name}` }];
  }
  const prefix = name.slice(0, Math.max(0, name.indexOf("/")));
  if (isHostLike(prefix)) {
    const isMirrored = ruleFor(config, upstreamHost(prefix)) !== undefined;
    return isMirrored ? [{ source: mirror, name }] : [here];
  }
  const { defaultUpstream } = config;
  return defaultUpstream === null ? [here] : [here, { source: mirror, name: `${defaultUpstream}/${name}` }];
}

/** Of a repository that is here nothing is asked elsewhere; of one that is not, there is nobody who would say so. */
async function referrers(
  name: string,
  subject: Digest,
  asked: Asked,
  options: RouteOptions,
): Promise<readonly Descriptor[]> {
  const places = await placesFor(name, asked, options);
  const [likeliest = { source: options.hosted, name }, other] = places;
  if (other === undefined || (await likeliest.source.tags(likeliest.name, asked)) !== undefined) {
    return await likeliest.source.referrers(likeliest.name, subject, asked);
  }
  return await other.source.referrers(other.name, subject, asked);
}

function summary({
  digest,
  mediaType,
  bytes,
  warning,
}: ServedManifest): Omit<ServedManifest, "bytes"> & { size: number } {
  return { digest, mediaType, size: bytes.length, ...(warning !== undefined && { warning }) };
}
