/** Hosts that are this machine: they may speak plain HTTP without a flag, and are never reached through a proxy. */
import { BlockList, isIP } from "node:net";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Takes `host`, `host:port`, `[v6]` or `[v6]:port`. */
export function isLoopback(host: string): boolean {
  const name = hostnameOf(host).toLowerCase();
  if (name === "localhost") return true;
  const family = isIP(name);
  return family !== 0 && LOOPBACK.check(name, family === 6 ? "ipv6" : "ipv4");
}

/** The name or address in `host[:port]`, brackets removed. */
export function hostnameOf(host: string): string {
  const bracketed = /^\[([^\]]+)\]/.exec(host);
  if (bracketed !== null) return bracketed[1] ?? "";
  return isIP(host) === 6 ? host : host.replace(/:\d+$/, "");
}

export function hasPort(host: string): boolean {
  return isIP(host) !== 6 && /:\d+$/.test(host);
}
