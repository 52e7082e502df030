/**
 * Forward proxies from the environment as Go's clients read them (httpproxy): HTTP_PROXY, HTTPS_PROXY, NO_PROXY and the
 * lower-case forms; loopback is never proxied.
 */
import { BlockList, isIP } from "node:net";
import { VarveError } from "../../errors/varve-error.ts";
import { isLoopback } from "./loopback.ts";

/** The proxy for a URL, credentials included, or undefined to go straight. */
export function proxyFor(url: URL, env: NodeJS.ProcessEnv): URL | undefined {
  const name = url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const value = env[name] || env[name.toLowerCase()];
  if (!value) return undefined;
  const hostname = bare(url.hostname);
  if (isLoopback(hostname)) return undefined;
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  if (bypasses(hostname, port, env["NO_PROXY"] || env["no_proxy"] || "")) return undefined;
  return parseProxy(name, value);
}

function parseProxy(name: string, value: string): URL {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy === undefined || !["http:", "https:", "socks5:"].includes(proxy.protocol) || proxy.hostname === "") {
    // The value may hold a password, so it is not shown.
    throw new VarveError("CONFIGURATION_INVALID", `${name} is not the URL of an HTTP, HTTPS or SOCKS5 proxy`, {
      hint: `correct the environment variable ${name}`,
    });
  }
  return proxy;
}

function bypasses(hostname: string, port: string, list: string): boolean {
  return list
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry !== "" && matches(hostname, port, entry));
}

function matches(hostname: string, port: string, entry: string): boolean {
  if (entry === "*") return true;
  if (entry.includes("/")) return inNetwork(hostname, entry);
  const [name, entryPort] = splitPort(entry);
  if (entryPort !== undefined && entryPort !== port) return false;
  if (isIP(name) !== 0) return sameAddress(name, hostname);
  if (isIP(hostname) !== 0) return false;
  if (name.startsWith("*.")) return hostname.endsWith(name.slice(1));
  return name.startsWith(".") ? hostname.endsWith(name) : hostname === name || hostname.endsWith(`.${name}`);
}

function splitPort(entry: string): [string, string | undefined] {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(entry);
  if (bracketed !== null) return [bracketed[1] ?? "", bracketed[2]];
  const named = isIP(entry) === 6 ? null : /^(.*):(\d+)$/.exec(entry);
  return named === null ? [entry, undefined] : [named[1] ?? "", named[2]];
}

function inNetwork(hostname: string, entry: string): boolean {
  const slash = entry.indexOf("/");
  const network = entry.slice(0, slash);
  const bits = Number(entry.slice(slash + 1));
  const family = isIP(network);
  if (family === 0 || isIP(hostname) !== family || !Number.isInteger(bits)) return false;
  if (bits < 0 || bits > (family === 6 ? 128 : 32)) return false;
  const list = new BlockList();
  list.addSubnet(network, bits, family === 6 ? "ipv6" : "ipv4");
  return list.check(hostname, family === 6 ? "ipv6" : "ipv4");
}

function sameAddress(name: string, hostname: string): boolean {
  const family = isIP(name);
  if (isIP(hostname) !== family) return false;
  return inNetwork(hostname, `${name}/${family === 6 ? 128 : 32}`);
}

function bare(hostname: string): string {
  return hostname
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "")
    .toLowerCase();
}
