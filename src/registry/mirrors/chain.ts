/**
 * The places to read a repository from, best first, the registry itself last: hosts.toml where it knows the host, else
 * registries.conf, else the registry alone. And the one place to write it to.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { Reference } from "../../oci/reference.ts";
import { credentialHost, directEndpoint, networkHost, type Endpoint } from "../endpoint.ts";
import type { Settings } from "../options.ts";
import { DEFAULT_TLS, readAuthorities, readPem, type TlsSettings } from "../transport/trust.ts";
import {
  EMPTY_REGISTRIES,
  readRegistriesConf,
  ruleFor,
  type MirrorRule,
  type RegistriesConf,
} from "./registries-conf.ts";

/** What is to be read: what a tag means, a manifest by its digest, a blob, or the referrers of a manifest. */
export type Purpose = "tag" | "digest" | "blob" | "referrers";

export class MirrorChain {
  readonly #settings: Settings;
  #tls: Promise<TlsSettings> | undefined;
  /** Whose the credentials of the options are, once that is known. */
  #account: string | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /**
   * From now on the credentials of the options are those of this registry alone. Default: of the first one that is asked for; images are
   * fetched from several when what was given up of them is looked for.
   */
  reserveCredentials(host: string): void {
    this.#account = credentialHost(host);
  }

  /** Never empty. @throws VarveError `REGISTRY_BLOCKED`, `CONFIGURATION_INVALID` */
  async endpoints(reference: Reference, purpose: Purpose): Promise<readonly Endpoint[]> {
    this.#account ??= credentialHost(reference.host);
    const isOwn = this.#account === credentialHost(reference.host);
    const endpoints = await this.#find(reference, purpose);
    return isOwn ? endpoints : endpoints.map((endpoint) => Object.assign({}, endpoint, { ownCredentials: false }));
  }

  async #find(reference: Reference, purpose: Purpose): Promise<readonly Endpoint[]> {
    const tls = await this.tls();
    const conf = await this.registriesConf();
    const image = `${reference.host}/${reference.name}`;
    const match = ruleFor(conf, image);
    if (match?.rule.blocked === true) {
      throw new VarveError("REGISTRY_BLOCKED", `registries.conf blocks ${match.rule.prefix}, and with it ${image}`);
    }
    const hosts = await this.#hostsToml(reference.host, reference.name, tls);
    if (hosts !== undefined) return capable(hosts, purpose);
    if (match === undefined) return [this.#direct(reference.host, reference.name, tls, reference, false, true)];
    const { rule, taken } = match;
    const at = (location: string, insecure: boolean, upstream: boolean): Endpoint => {
      const [host, name] = splitImage(location + image.slice(taken.length));
      return this.#direct(host, name, tls, reference, insecure, upstream);
    };
    const mirrors = rule.mirrors.filter((mirror) => serves(mirror, rule.mirrorByDigestOnly, reference, purpose));
    return [
      ...mirrors.map((mirror) => at(mirror.location, mirror.insecure, false)),
      at(rule.location ?? taken, rule.insecure, true),
    ];
  }

  /**
   * Where to push to: the first host of hosts.toml that is named for pushing, else the registry itself; with registries.conf its
   * `location`. Never a mirror that is only read.
   *
   * @throws VarveError `REGISTRY_BLOCKED`, `CONFIGURATION_INVALID`
   */
  async pushEndpoint(reference: Reference): Promise<Endpoint> {
    const chain = await this.endpoints(reference, "blob");
    const fit = chain.find(({ capabilities }) => capabilities.push);
    if (fit !== undefined) return fit;
    const image = `${reference.host}/${reference.name}`;
    throw new VarveError("CONFIGURATION_INVALID", `hosts.toml names no host to push ${image} to`, {
      hint: 'add "push" to the capabilities of the host that takes what is pushed',
    });
  }

  /** The registry's own endpoint, whatever mirrors there are. */
  async direct(host: string, repository = ""): Promise<Endpoint> {
    const tls = await this.tls();
    const hosts = await this.#hostsToml(host, repository, tls);
    const upstream = hosts?.findLast((endpoint) => endpoint.upstream && endpoint.ownCredentials);
    return upstream ?? directEndpoint(host, repository, this.#settings, { tls });
  }

  async registriesConf(): Promise<RegistriesConf> {
    const { registriesConf, env } = this.#settings;
    return registriesConf === false ? EMPTY_REGISTRIES : await readRegistriesConf(registriesConf, env);
  }

  /** From the transport's flags; the files are read once. */
  async tls(): Promise<TlsSettings> {
    this.#tls ??= readTls(this.#settings);
    return await this.#tls;
  }

  async #hostsToml(host: string, repository: string, tls: TlsSettings): Promise<readonly Endpoint[] | undefined> {
    const { hostsDir } = this.#settings;
    if (hostsDir === undefined) return undefined;
    const { hostsTomlChain } = await import("./hosts-toml.ts");
    return await hostsTomlChain(hostsDir, host, repository, this.#settings, tls);
  }

  #direct(
    host: string,
    repository: string,
    tls: TlsSettings,
    reference: Reference,
    insecure: boolean,
    upstream: boolean,
  ): Endpoint {
    const own = networkHost(host) === networkHost(reference.host);
    return directEndpoint(host, repository, this.#settings, {
      tls: own ? tls : { ...tls, client: [] },
      insecure,
      upstream,
      ownCredentials: own,
    });
  }
}

async function readTls(settings: Settings): Promise<TlsSettings> {
  const { caFile, certFile, keyFile, insecure } = settings;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new VarveError("USAGE", "a client certificate and its key come together", {
      hint: "give both --cert-file and --key-file",
    });
  }
  return {
    ...DEFAULT_TLS,
    ...(insecure === true ? { verify: false, insecureEverywhere: true } : {}),
    authorities: caFile === undefined ? [] : [await readAuthorities(caFile)],
    client:
      certFile === undefined || keyFile === undefined
        ? []
        : [{ cert: await readPem(certFile), key: await readPem(keyFile) }],
  };
}

/** Without a host that may be asked, the last one is: that is the registry, and it will say what it thinks of it. */
function capable(endpoints: readonly Endpoint[], purpose: Purpose): readonly Endpoint[] {
  const fit = endpoints.filter(({ capabilities }) => {
    switch (purpose) {
      case "blob":
        // containerd's blob loop tries all hosts: a digest says all there is to say.
        return true;
      case "digest":
        return capabilities.pull;
      case "tag":
        return capabilities.resolve;
      case "referrers":
        return capabilities.referrers;
    }
  });
  return fit.length > 0 ? fit : endpoints.slice(-1);
}

function serves(mirror: MirrorRule, digestOnly: boolean, reference: Reference, purpose: Purpose): boolean {
  const byDigest = purpose !== "tag";
  if (mirror.pullFrom === "digest-only" || (digestOnly && mirror.pullFrom === "all")) return byDigest;
  if (mirror.pullFrom === "tag-only") return purpose === "tag" || reference.digest === undefined;
  return true;
}

function splitImage(image: string): [string, string] {
  const slash = image.indexOf("/");
  if (slash <= 0)
    throw new VarveError("CONFIGURATION_INVALID", `registries.conf turns the name into ${JSON.stringify(image)}`);
  return [image.slice(0, slash), image.slice(slash + 1)];
}
