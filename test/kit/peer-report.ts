/** Runs once before all tests: says which peers are missing, so that a skipped test is never a silent one. */
import { findPeer, PEERS, peersRequired, type PeerName } from "./peers.ts";

export default function setup(): void {
  const missing = (Object.keys(PEERS) as PeerName[]).filter((name) => findPeer(name) === undefined);
  if (missing.length === 0) return;
  const packages = missing.map((name) => `${name} (package ${PEERS[name]})`).join(", ");
  if (peersRequired) throw new Error(`VARVE_REQUIRE_PEERS=1, but these peers are missing: ${packages}`);
  console.log(`peers missing, their tests are SKIPPED: ${packages}`);
}
