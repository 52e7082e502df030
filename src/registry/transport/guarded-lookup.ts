/**
 * Keeps a client from addresses that it may not connect to. Asked when a connection is made, of the very address that is connected to, so
 * that neither a redirect nor a name that means something else the next time leads around it.
 */
import { lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { hostnameOf } from "./loopback.ts";
import { RegistryFailure } from "./failure.ts";

export type AllowAddress = (address: string) => boolean;

/** For names; addresses are not looked up. */
export function guardedLookup(allow: AllowAddress): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, "", 0);
      const allowed = found.filter(({ address }) => allow(address));
      const [first] = allowed;
      if (first === undefined) return callback(refused(hostname), "", 0);
      if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

/** @throws RegistryFailure `REGISTRY_BLOCKED` for an address that may not be connected to */
export function checkLiteral({ host }: URL, allow: AllowAddress | undefined): void {
  const name = hostnameOf(host);
  if (allow !== undefined && isIP(name) !== 0 && !allow(name)) throw refused(name);
}

function refused(name: string): RegistryFailure {
  return new RegistryFailure("REGISTRY_BLOCKED", `${name} is an address that must not be asked`, {
    hint: "name the registry among the upstreams if it may be asked all the same",
    detail: { host: name },
  });
}
