/**
 * Blobs that a pushed manifest names and that were not pushed, because what is read under the repository's name has them: that of another registry
 * whose repository is called so. Whoever asked whether they are there was told so, and has not sent them.
 */
import type { Digest } from "../../oci/digest.ts";
import { inParallel } from "../../transfer/in-parallel.ts";
import type { Exchange } from "./exchange.ts";
import type { HostedContent } from "./hosted-content.ts";
import type { ServedBlob } from "./types.ts";

/** More than any image has layers; whoever names more may be after our requests. */
const MOST_BLOBS = 200;
const AT_ONCE = 4;

/**
 * Makes them the repository's own. None is fetched before it is known that all can be.
 * @returns those that are not there either
 * @throws VarveError `REGISTRY_*` ... when the other registry cannot be asked
 */
export async function takeBlobs(
  { asked, options }: Exchange,
  repositories: HostedContent,
  name: string,
  digests: readonly Digest[],
): Promise<readonly Digest[]> {
  const keep = async (digest: Digest): Promise<boolean> => (await repositories.keepBlob?.(name, digest)) === true;
  if (options.source === repositories || digests.length > MOST_BLOBS) return digests;
  const found: ServedBlob[] = [];
  const missing: Digest[] = [];
  await inParallel(digests, AT_ONCE, async (digest) => {
    const blob = missing.length > 0 ? undefined : await options.source.blob(name, digest, asked);
    if (blob === undefined) missing.push(digest);
    else found.push(blob);
  });
  if (missing.length > 0) return missing;
  await inParallel(found, AT_ONCE, async (blob) => {
    if (blob.path !== undefined && (await keep(blob.digest))) return;
    // Reading it brings it here.
    for await (const _ of blob.read(0, blob.size, asked.signal)) asked.signal.throwIfAborted();
    if (!(await keep(blob.digest))) missing.push(blob.digest);
  });
  return missing;
}
