/**
 * Who is asked for what a mirror lacks, and as whom. Only registries that the configuration names are asked, this daemon never; and what
 * was given to an account that a client brought is kept apart from what everybody may have.
 */
import { createHash, randomUUID } from "node:crypto";
import { VarveError } from "../../errors/varve-error.ts";
import type { Reference } from "../../oci/reference.ts";
import type { Credentials } from "../../registry/auth/authorizer.ts";
import type { RegistryClient } from "../../registry/client.ts";
import type { Credential } from "../../registry/credentials/credential.ts";
import { credentialHost } from "../../registry/endpoint.ts";
import type { RegistryOptions } from "../../registry/options.ts";
import type { RepositoryKey } from "../../store/repositories.ts";
import type { MirrorConfig, UpstreamConfig } from "../config/types.ts";
import type { Asked } from "../distribution/types.ts";
import { isOwnAddress, isPublicAddress } from "./addresses.ts";
import { upstreamRepository } from "./upstream-name.ts";

/** Clients bring as many accounts as they like; those that were not used the longest are forgotten. */
const MOST_CLIENTS = 64;

/** What daemons call themselves, as {@link daemonName} has it. */
const DAEMON = /1\.1 varve-[0-9a-f-]{36}/g;
/** Daemons may have daemons as their upstreams, but not without end. */
const MOST_HOPS = 8;

/** For whom a client asks. */
interface Asker {
  readonly account: string | undefined;
  /** Of the account. */
  readonly hash: string;
  readonly via: string;
}

/** What a daemon says in `Via` when it asks others. */
export function daemonName(): string {
  return `1.1 varve-${randomUUID()}`;
}

/** A repository of a registry, and how this asker may have it. */
export interface Upstream {
  /** Without tag and digest. */
  readonly reference: Reference;
  readonly client: RegistryClient;
  /** Under what it is cached. */
  readonly key: RepositoryKey;
  /** Whether it is one that the configuration names, whose word is taken for what its repositories have. */
  readonly isTrusted: boolean;
  /** Whether an account that the client brings would be passed on. */
  readonly takesAccounts: boolean;
}

export interface UpstreamsOptions {
  readonly config: () => MirrorConfig;
  /** A registry client as the daemon's settings have it, but for these. Closed by who asked for it. */
  readonly openRegistry: (options: Pick<RegistryOptions, "accounts" | "via" | "allowAddress">) => RegistryClient;
  /** TCP ports that this daemon listens on. */
  readonly ownPorts: () => readonly number[];
  /** What this daemon calls itself when it asks others: its {@link daemonName}. */
  readonly via: string;
}

export class Upstreams implements AsyncDisposable {
  readonly #options: UpstreamsOptions;
  readonly #clients = new Map<string, RegistryClient>();

  constructor(options: UpstreamsOptions) {
    this.#options = options;
  }

  /**
   * @param name `HOST/NAME`
   * @throws VarveError `UPSTREAM_REFUSED` for a registry that is not to be asked; `MIRROR_LOOP`, `REFERENCE_INVALID`
   */
  async find(name: string, asked: Asked): Promise<Upstream> {
    const reference = upstreamRepository(name);
    const { host } = reference;
    const rule = ruleFor(this.#options.config(), host);
    if (rule === undefined)
      throw new VarveError("UPSTREAM_REFUSED", `${host} is none of the registries that are mirrored`);
    const { via, ownPorts } = this.#options;
    const before: readonly string[] = asked.via?.match(DAEMON) ?? [];
    if (before.includes(via) || before.length >= MOST_HOPS || (await isOwnAddress(host, ownPorts()))) {
      throw new VarveError("MIRROR_LOOP", `${host} leads back to this daemon`);
    }
    const account = rule.passCredentials ? asked.authorization : undefined;
    const hash = account === undefined ? "" : createHash("sha256").update(account).digest("hex").slice(0, 32);
    return {
      reference,
      client: this.#client(rule, host, { account, hash, via: [...before, via].join(", ") }),
      key: { origin: "mirror", name: `${host}/${reference.name}${hash === "" ? "" : `#${hash}`}` },
      isTrusted: rule.host !== "*",
      takesAccounts: rule.passCredentials,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#clients.values()];
    this.#clients.clear();
    await Promise.all(all.map((client) => client[Symbol.asyncDispose]()));
  }

  #client(rule: UpstreamConfig, host: string, asker: Asker): RegistryClient {
    const whose = asker.account === undefined ? String(rule.credentials) : `${asker.hash} ${host}`;
    const key = `${whose} ${rule.host === "*"} ${asker.via}`;
    const client = this.#clients.get(key) ?? this.#open(rule, host, asker);
    this.#clients.delete(key);
    this.#clients.set(key, client);
    // Whoever uses it now may go on: its connections end by themselves.
    if (this.#clients.size > MOST_CLIENTS) this.#clients.delete(this.#clients.keys().next().value!);
    return client;
  }

  #open(rule: UpstreamConfig, host: string, { account, via }: Asker): RegistryClient {
    const { openRegistry } = this.#options;
    const accounts = account === undefined ? (rule.credentials ? undefined : NOBODY) : passed(host, account);
    return openRegistry({
      via,
      ...(accounts && { accounts }),
      // A name that anybody may choose must not lead into this machine or the networks behind it.
      ...(rule.host === "*" && { allowAddress: isPublicAddress }),
    });
  }
}

export function ruleFor({ upstreams }: MirrorConfig, host: string): UpstreamConfig | undefined {
  return (
    upstreams.find((rule) => rule.host !== "*" && credentialHost(rule.host) === host) ??
    upstreams.find((rule) => rule.host === "*")
  );
}

const NOBODY: Credentials = { find: async () => undefined };

/** For the registry itself, and for none of the mirrors that stand in for it. */
function passed(host: string, authorization: string): Credentials {
  const credential = readAuthorization(authorization);
  return {
    find: async (endpoint) =>
      endpoint.upstream && endpoint.credentialHost === credentialHost(host) ? credential : undefined,
  };
}

/** @throws VarveError `UNAUTHORIZED` for what is neither Basic nor Bearer */
function readAuthorization(authorization: string): Credential {
  const [, scheme = "", value = ""] = /^(basic|bearer) +([\x21-\x7e]+)$/i.exec(authorization) ?? [];
  if (scheme.toLowerCase() === "bearer") return { kind: "registry-token", token: value };
  const text = Buffer.from(value, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (scheme === "" || colon < 0) throw new VarveError("UNAUTHORIZED", "the Authorization is neither Basic nor Bearer");
  return { kind: "password", username: text.slice(0, colon), password: text.slice(colon + 1) };
}
