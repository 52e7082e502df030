/** How often each client may ask: a bucket that fills at a steady rate and holds ten seconds of it (token bucket). */
import { isIPv4, isIPv6 } from "node:net";
import { isLoopbackName } from "./origin.ts";

const BURST_SECONDS = 10;
const DEFAULT_RATE = 200;
/** Whoever has an IPv6 network has more addresses than we have memory; who asked the longest ago is forgotten. */
const MAX_CLIENTS = 10_000;

export interface RateLimits {
  /** @returns 0 when the client may ask; else in how many seconds it may ask again */
  take(peer: string): number;
}

interface Bucket {
  left: number;
  at: number;
}

/** @param rate per second as it is now: 0 none, null by default. @param now milliseconds that only grow */
export function rateLimits(rate: () => number | null, now: () => number = () => performance.now()): RateLimits {
  // In the order of their last use.
  const buckets = new Map<string, Bucket>();
  return {
    take(peer) {
      const client = clientOf(peer);
      const perSecond = rate() ?? (client === "loopback" ? 0 : DEFAULT_RATE);
      if (perSecond === 0) return 0;
      const burst = perSecond * BURST_SECONDS;
      const time = now();
      const bucket = buckets.get(client) ?? { left: burst, at: time };
      buckets.delete(client);
      bucket.left = Math.min(burst, bucket.left + ((time - bucket.at) / 1000) * perSecond);
      bucket.at = time;
      buckets.set(client, bucket);
      if (buckets.size > MAX_CLIENTS) buckets.delete(buckets.keys().next().value as string);
      if (bucket.left < 1) return Math.max(1, Math.ceil((1 - bucket.left) / perSecond));
      bucket.left -= 1;
      return 0;
    },
  };
}

/** One for each address, of IPv6 for each network of 64 bits, which is what one customer has. */
export function clientOf(peer: string): string {
  const address = peer.startsWith("::ffff:") && isIPv4(peer.slice(7)) ? peer.slice(7) : peer;
  if (isLoopbackName(isIPv6(address) ? `[${address}]` : address)) return "loopback";
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.replace(/%.*$/, "").split("::", 2);
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  return `${[...front, ...Array<string>(zeros).fill("0"), ...back].slice(0, 4).join(":")}::/64`;
}
