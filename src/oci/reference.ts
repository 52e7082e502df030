/**
 * Names of images: `[docker://]HOST[:PORT]/NAME[:TAG][@DIGEST]`, by the grammar of distribution-spec "Pulling manifests"
 * and the rules by which Docker completes a short name.
 */
import { isIPv6 } from "node:net";
import { VarveError } from "../errors/varve-error.ts";
import { isDigest, type Digest } from "./digest.ts";

export interface Reference {
  /** As in the image's name, in lower case: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly host: string;
  /** The repository: `library/debian`. */
  readonly name: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

export interface ParseReferenceOptions {
  /** Whether a name with neither tag nor digest means `:latest`. Default true. */
  readonly defaultTag?: boolean;
}

const HUB = "docker.io";
const DEFAULT_TAG = "latest";
/** Of host, slash and name together; several clients and registries refuse more. */
const MAX_NAME_LENGTH = 255;
/** The longest that can be right: name, tag, sha512 digest, transport. Bounds the work and the error message. */
const MAX_LENGTH = 1024;

const HOST_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
const HOST = new RegExp(String.raw`^${HOST_LABEL}(?:\.${HOST_LABEL})*(:[0-9]{1,5})?$`);
const IPV6_HOST = /^\[([0-9a-f:.]+)\](:[0-9]{1,5})?$/;
const NAME_PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/**
 * Reads a reference and completes it: `debian` is `docker.io/library/debian:latest`.
 *
 * @throws VarveError `REFERENCE_INVALID`, with a hint that fits what is wrong
 */
export function parseReference(text: string, options: ParseReferenceOptions = {}): Reference {
  const refuse = (why: string, hint?: string): never => {
    const shown = JSON.stringify(text.length > 160 ? `${text.slice(0, 160)}...` : text);
    throw new VarveError("REFERENCE_INVALID", `${why}: ${shown}`, hint === undefined ? {} : { hint });
  };
  if (/@.*\//s.test(text)) {
    // Whoever writes USER:PASSWORD@HOST must not find it in a log.
    throw new VarveError("REFERENCE_INVALID", "a name holds no user and password", { hint: "give them with --creds" });
  }
  if (text.length > MAX_LENGTH) return refuse(`a reference has ${MAX_LENGTH} characters at most`);
  const bare = text.startsWith("docker://") ? text.slice("docker://".length) : text;
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(bare)?.[0];
  if (scheme !== undefined) return refuse("a reference has no scheme", `leave out ${scheme}`);

  const [named, digest] = cut(bare, "@");
  if (digest !== undefined && !isDigest(digest)) {
    return refuse("not a digest after @", "write it as NAME@sha256:<64 hex digits>");
  }
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  // Brackets and colons of a host without a name fall through to the name's grammar and fail there.
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag)) return refuse("not a tag", TAG_HINT);
  const { host, name } = splitHost(colon < 0 ? named : named.slice(0, colon), refuse);

  const tagOrDefault = tag ?? (digest === undefined && options.defaultTag !== false ? DEFAULT_TAG : undefined);
  return {
    host,
    name,
    ...(tagOrDefault !== undefined && { tag: tagOrDefault }),
    ...(digest !== undefined && { digest }),
  };
}

/** The full name, `docker.io/library/debian:12`; parsing it gives the same reference. */
export function formatReference(reference: Reference): string {
  const { host, name, tag, digest } = reference;
  return `${host}/${name}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

/** The same name and tag, pinned to a digest. */
export function withDigest(reference: Reference, digest: Digest): Reference {
  return { ...reference, digest };
}

/** The same repository at another tag; a digest is dropped, as it named what the old tag stood for. */
export function withTag(reference: Reference, tag: string): Reference {
  if (!isTag(tag))
    throw new VarveError("REFERENCE_INVALID", `not a tag: ${JSON.stringify(tag.slice(0, 160))}`, { hint: TAG_HINT });
  return { host: reference.host, name: reference.name, tag };
}

export function isTag(text: string): boolean {
  return TAG.test(text);
}

const TAG_HINT = "a tag has 1 to 128 letters, digits, _, . and -, and begins with none of the last two";
const NAME_HINT =
  "a name's parts, between slashes, have lower-case letters and digits, separated by one of . _ __ or any number of -";

type Refuse = (why: string, hint?: string) => never;

/** Docker's rule: the first part is a host if it has a dot or a colon or is localhost, else all is a name on the Hub. */
function splitHost(named: string, refuse: Refuse): { host: string; name: string } {
  if (named === "") return refuse("no name");
  const [first, rest] = cut(named, "/");
  const isHost = rest !== undefined && (/[.:]/.test(first) || first.toLowerCase() === "localhost");
  const path = isHost ? rest : named;
  const host = isHost ? normalizeHost(first.toLowerCase()) : HUB;
  if (!isHostName(host)) return refuse("not a host", "write a host as NAME[:PORT], or as [IPV6][:PORT]");
  if (path !== path.toLowerCase()) {
    return refuse(
      "a name has upper-case letters",
      `names are in lower case: ${isHost ? `${first}/` : ""}${path.toLowerCase()}`,
    );
  }
  if (!path.split("/").every((part) => NAME_PART.test(part))) return refuse("not a name", NAME_HINT);
  if (!isHost && /^[0-9a-f]{64}$/.test(path)) {
    return refuse("an image ID is not a name", `write a digest as NAME@sha256:${path.slice(0, 8)}...`);
  }
  const name = host === HUB && !path.includes("/") ? `library/${path}` : path;
  if (host.length + 1 + name.length > MAX_NAME_LENGTH) {
    return refuse("the name is too long", `host and name have ${MAX_NAME_LENGTH} characters together at most`);
  }
  return { host, name };
}

/** The Hub answers to the name that `docker login` records, too. */
function normalizeHost(host: string): string {
  return host === "index.docker.io" ? HUB : host;
}

function isHostName(host: string): boolean {
  const [, address, bracketPort] = IPV6_HOST.exec(host) ?? [];
  if (address !== undefined) return isIPv6(address) && isPort(bracketPort);
  const match = HOST.exec(host);
  return match !== null && isPort(match[1]);
}

/** `:5000` or nothing. */
function isPort(text: string | undefined): boolean {
  return text === undefined || (Number(text.slice(1)) >= 1 && Number(text.slice(1)) <= 65_535);
}

/** Splits at the first separator. */
function cut(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}
