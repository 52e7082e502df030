/** Hosts that are this machine: they may speak plain HTTP without a flag, and are never reached through a proxy. */
import { BlockList, isIPv4, isIPv6 } from "node:net";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Takes `host`, `host:port`, `[v6]` or `[v6]:port`. */
export function isLoopback(host: string): boolean {
  const name = hostnameOf(host).toLowerCase();
  if (name === "localhost") return true;
  if (isIPv4(name)) return LOOPBACK.check(name, "ipv4");
  return isAddress6(name) && LOOPBACK.check(name, "ipv6");
}

/** The name or address in `host[:port]`, brackets removed. */
export function hostnameOf(host: string): string {
  const bracketed = /^\[([^\]]+)\]/.exec(host);
  if (bracketed !== null) return bracketed[1] ?? "";
  return isAddress6(host) ? host : host.replace(/:\d+$/, "");
}

export function hasPort(host: string): boolean {
  return !isAddress6(host) && /:\d+$/.test(host);
}

/** Node's own test is a large regular expression, which takes 7 ms to compile; what has no two colons is no such address. */
function isAddress6(text: string): boolean {
  return text.indexOf(":") !== text.lastIndexOf(":") && isIPv6(text);
}
