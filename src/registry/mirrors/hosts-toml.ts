/**
 * containerd's `<dir>/<host>/hosts.toml` (containerd docs/hosts.md), and Docker's older
 * habit of leaving only certificates in such a directory. Read for every operation, so a change needs no restart.
 */
import { readdir } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { VarveError } from "../../errors/varve-error.ts";
import {
  ALL_CAPABILITIES,
  credentialHost,
  directEndpoint,
  networkHost,
  type Capabilities,
  type Endpoint,
  type Scheme,
} from "../endpoint.ts";
import type { Settings } from "../options.ts";
import { hasPort } from "../transport/loopback.ts";
import { readAuthorities, readPem, type TlsSettings } from "../transport/trust.ts";
import type { Headers } from "../transport/transport.ts";
import { parseDuration } from "./duration.ts";
import { readOptional } from "./read-optional.ts";
import { parseToml, TableReader } from "./toml-file.ts";

/** The chain that the directories give for a registry, upstream last; undefined when they say nothing about it. */
export async function hostsTomlChain(
  dirs: string,
  host: string,
  repository: string,
  settings: Settings,
  tls: TlsSettings,
): Promise<Endpoint[] | undefined> {
  for (const root of dirs.split(":").filter((part) => part !== "")) {
    for (const name of directoryNames(host)) {
      const dir = join(root, name);
      const chain = await chainIn(dir, host, repository, settings, tls);
      if (chain !== undefined) return chain;
    }
  }
  return undefined;
}

/** containerd's order: with underscores for systems whose paths cannot hold a colon, as it is, for all. */
function directoryNames(host: string): string[] {
  const port = /:(\d+)$/.exec(host)?.[1];
  const names = port === undefined ? [host] : [`${host.slice(0, -port.length - 1)}_${port}_`, host];
  return [...names, "_default"];
}

async function chainIn(
  dir: string,
  host: string,
  repository: string,
  settings: Settings,
  tls: TlsSettings,
): Promise<Endpoint[] | undefined> {
  const path = join(dir, "hosts.toml");
  const text = await readOptional(path);
  if (text !== undefined) return await parseHosts(text, path, dir, { host, repository, settings, tls });
  const certificates = await certificatesIn(dir, tls);
  if (certificates === undefined) return undefined;
  return [directEndpoint(host, repository, settings, { tls: certificates })];
}

interface Subject {
  readonly host: string;
  readonly repository: string;
  readonly settings: Settings;
  readonly tls: TlsSettings;
}

async function parseHosts(text: string, path: string, dir: string, subject: Subject): Promise<Endpoint[]> {
  const root = new TableReader(parseToml(text, path), path);
  const hosts = root.table("host");
  const server = root.text("server");
  const mirrors = (hosts?.keys() ?? []).map((url) => hostEndpoint(url, hosts?.table(url), dir, subject, false));
  const upstream =
    server === undefined
      ? directEndpoint(subject.host, subject.repository, subject.settings, { tls: subject.tls })
      : hostEndpoint(server, root, dir, subject, true);
  return await Promise.all([...mirrors, upstream]);
}

async function hostEndpoint(
  text: string,
  table: TableReader | undefined,
  dir: string,
  subject: Subject,
  upstream: boolean,
): Promise<Endpoint> {
  if (table === undefined) throw new VarveError("INTERNAL", "a host without a table");
  const { settings, repository } = subject;
  const url = parseHost(text, table);
  const host = url.host;
  const same = networkHost(host) === networkHost(subject.host);
  const skip = table.flag("skip_verify");
  const own = await tlsOf(table, dir, same ? subject.tls : { ...subject.tls, client: [] });
  const tls = { ...own, verify: own.verify && !skip };
  const dial = table.text("dial_timeout");
  const connectMs = dial === undefined ? settings.timeouts.connectMs : parseDuration(dial);
  if (connectMs === undefined) return table.refuse("dial_timeout", 'must be a duration such as "5s"');
  return {
    host: networkHost(host),
    credentialHost: credentialHost(host),
    schemes: schemesOf(url, skip || hasTls(table)),
    prefix: prefixOf(url, table.flag("override_path")),
    repository,
    headers: headersOf(table),
    tls,
    connectMs,
    // A proxy for several registries must be told which one; the registry itself is not asked as a proxy.
    ...(same ? {} : { namespace: subject.host }),
    upstream,
    ownCredentials: same,
    capabilities: capabilitiesOf(table, upstream),
  };
}

function parseHost(text: string, table: TableReader): URL {
  const absolute = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  const url = URL.canParse(absolute) ? new URL(absolute) : undefined;
  const right = url !== undefined && (url.protocol === "https:" || url.protocol === "http:") && url.hostname !== "";
  if (!right || url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    return table.refuse(`host ${JSON.stringify(text.replace(/\/\/.*@/, "//...@"))}`, "is not the URL of a registry");
  }
  return url;
}

function schemesOf(url: URL, tls: boolean): readonly Scheme[] {
  if (url.protocol === "https:") return ["https"];
  // containerd: TLS settings on an http host with its own port mean that it may speak either.
  return tls && hasPort(url.host) ? ["https", "http"] : ["http"];
}

function prefixOf(url: URL, override: boolean): string {
  const path = url.pathname.replace(/\/+$/, "");
  return override || path.endsWith("/v2") ? path : `${path}/v2`;
}

/** What is pushed must not end in a mirror that nobody has named for it, though to containerd no list means everything. */
function capabilitiesOf(table: TableReader, upstream: boolean): Capabilities {
  const names = table.texts("capabilities");
  if (names.length === 0) return { ...ALL_CAPABILITIES, push: upstream };
  const known = new Set(["pull", "resolve", "push", "referrers"]);
  const strange = names.find((name) => !known.has(name));
  if (strange !== undefined) table.refuse("capabilities", `knows no ${JSON.stringify(strange)}`);
  const can = (name: string): boolean => names.includes(name);
  return { pull: can("pull"), resolve: can("resolve"), referrers: can("referrers"), push: can("push") };
}

function headersOf(table: TableReader): Headers {
  const header = table.table("header");
  if (header === undefined) return {};
  return Object.fromEntries(
    header.keys().map((name) => {
      if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) return header.refuse("header", "has a name that is no header's");
      const values = header.texts(name);
      // The value may be a secret, so the error does not show it.
      if (!values.every((value) => /^[\t\x20-\x7e\x80-\xff]*$/.test(value)))
        header.refuse(name, "is not a header's value");
      return [name.toLowerCase(), values];
    }),
  );
}

function hasTls(table: TableReader): boolean {
  return table.raw("ca") !== undefined || table.raw("client") !== undefined;
}

async function tlsOf(table: TableReader, dir: string, base: TlsSettings): Promise<TlsSettings> {
  const at = (path: string): string => (isAbsolute(path) ? path : join(dir, path));
  const authorities = await Promise.all(table.texts("ca").map((path) => readAuthorities(at(path))));
  const client = await Promise.all(
    clientPairs(table).map(async ([cert, key]) => {
      const certificate = await readPem(at(cert));
      return { cert: certificate, key: key === undefined ? certificate : await readPem(at(key)) };
    }),
  );
  return { ...base, authorities: [...base.authorities, ...authorities], client: [...base.client, ...client] };
}

/** `client = "both.pem"`, `["a.pem", "b.pem"]` (each both) or `[["a.cert", "a.key"], ...]`. */
function clientPairs(table: TableReader): [string, string | undefined][] {
  const value = table.raw("client");
  if (value === undefined) return [];
  if (typeof value === "string") return [[value, undefined]];
  if (!Array.isArray(value)) return table.refuse("client", "must be a path or a list");
  return value.map((item: unknown) => {
    if (typeof item === "string") return [item, undefined];
    const pair: unknown[] = Array.isArray(item) ? item : [];
    const [cert, key] = pair;
    const right = typeof cert === "string" && (key === undefined || typeof key === "string") && pair.length <= 2;
    if (!right) return table.refuse("client", "must hold paths or pairs of paths");
    return [cert, key === undefined || key === "" ? undefined : key];
  });
}

/** `*.crt` are authorities; `x.cert` with `x.key` is the client's pair. */
async function certificatesIn(dir: string, base: TlsSettings): Promise<TlsSettings | undefined> {
  let names: string[];
  try {
    names = (await readdir(dir)).sort();
  } catch {
    return undefined;
  }
  const authorities = await Promise.all(
    names.filter((name) => name.endsWith(".crt")).map((name) => readAuthorities(join(dir, name))),
  );
  const certs = names.filter((name) => name.endsWith(".cert"));
  const client = await Promise.all(
    certs.map(async (name) => ({
      cert: await readPem(join(dir, name)),
      key: await readPem(join(dir, name.replace(/\.cert$/, ".key"))),
    })),
  );
  if (authorities.length === 0 && client.length === 0) return undefined;
  return { ...base, authorities: [...base.authorities, ...authorities], client: [...base.client, ...client] };
}
