/** Which addresses a mirror does not connect to unless it was told whose they are: those of this machine and of networks behind it. */
import { lookup } from "node:dns/promises";
import { BlockList, isIP, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { networkHost } from "../../registry/endpoint.ts";
import { hasPort, hostnameOf, isLoopback } from "../../registry/transport/loopback.ts";

/** IANA's registries of special addresses: all that are not "globally reachable", and those that carry another address within them. */
const INNER_4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];
/** Only 2000::/3 is handed out, and of that not these. */
const OUTER_6 = new BlockList();
OUTER_6.addSubnet("2000::", 3, "ipv6");
const INNER_6: readonly (readonly [string, number])[] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];

const inner4 = new BlockList();
for (const [network, bits] of INNER_4) inner4.addSubnet(network, bits, "ipv4");
const inner6 = new BlockList();
for (const [network, bits] of INNER_6) inner6.addSubnet(network, bits, "ipv6");

/** Whether an address is one that anybody on the internet could ask as well. */
export function isPublicAddress(address: string): boolean {
  const kind = isIP(address);
  if (kind === 4) return !inner4.check(address, "ipv4");
  return kind === 6 && OUTER_6.check(address, "ipv6") && !inner6.check(address, "ipv6");
}

/**
 * Whether `host[:port]` is this process, which listens on these ports: asking it would never end.
 * @param host as in image names
 */
export async function isOwnAddress(host: string, ports: readonly number[]): Promise<boolean> {
  const connected = networkHost(host);
  const port = hasPort(connected) ? [Number(connected.slice(connected.lastIndexOf(":") + 1))] : [443, 80];
  if (!port.some((candidate) => ports.includes(candidate))) return false;
  const name = hostnameOf(connected);
  if (isLoopback(name) || isUnspecified(name)) return true;
  const own = new Set(
    Object.values(networkInterfaces()).flatMap((found) => found?.map(({ address }) => address) ?? []),
  );
  if (isIP(name) !== 0) return own.has(name);
  // A name that means nothing is nobody's address; whoever asks it will find that out.
  const found = await lookup(name, { all: true }).catch(() => []);
  return found.some(({ address }) => isLoopback(address) || own.has(address));
}

function isUnspecified(name: string): boolean {
  return name === "0.0.0.0" || (isIPv6(name) && /^[0:]+$/.test(name));
}
