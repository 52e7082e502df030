/** `--creds` are one registry's: what is meant for it is no other's to see. */
import { VarveError } from "../errors/varve-error.ts";
import { parseReference } from "../oci/reference.ts";
import type { Settings } from "./settings.ts";

/**
 * @param references in registries
 * @throws VarveError `USAGE` when credentials were given and there are several registries; `REFERENCE_INVALID`
 */
export function refuseSeveralRegistries({ transport }: Settings, references: readonly string[], hint: string): void {
  if (transport.credentials === undefined) return;
  const hosts = new Set(references.map((reference) => parseReference(reference).host));
  if (hosts.size <= 1) return;
  throw new VarveError("USAGE", `--creds would be sent to ${[...hosts].join(" and ")}`, { hint });
}

/** The same for a copy, of whose ends both may be registries. */
export function refuseTwoRegistries(settings: Settings, ...places: readonly string[]): void {
  const registries = places.filter((place) => place.startsWith("docker://"));
  refuseSeveralRegistries(settings, registries, "log in to each with varve login, and leave out --creds");
}
