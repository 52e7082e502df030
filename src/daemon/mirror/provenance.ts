/**
 * Whose word is good for what. The store has content of many registries, and a registry may say of any digest that it has it; who believed that
 * would give private content to whoever runs a registry and knows a digest. So a registry is believed that the configuration names, or
 * from which the content came; of any other one the bytes themselves have to come.
 */
import type { Digest } from "../../oci/digest.ts";
import type { Store } from "../../store/store.ts";
import type { Upstream } from "./upstreams.ts";

/** Whether the registry's word is enough to give what the store has under the digest, or under one of which it can be made. */
export async function believes(
  { repositories }: Pick<Store, "repositories">,
  { isTrusted, reference }: Upstream,
  ...digests: readonly Digest[]
): Promise<boolean> {
  if (isTrusted) return true;
  for (const digest of digests) if (await repositories.hasUnder("mirror", `${reference.host}/`, digest)) return true;
  return false;
}
