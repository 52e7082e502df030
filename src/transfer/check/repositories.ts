/**
 * What repositories of `/v2/` have: whether it is there and whole. What was cached of another registry is let go of when it is not, and comes
 * again when it is asked for; what was pushed to this machine can only be pushed again.
 */
import { lstat } from "node:fs/promises";
import type { Digest } from "../../oci/digest.ts";
import type { RepositoryContent } from "../../store/repositories.ts";
import type { BlobState, Check } from "./check.ts";
import { stateOf } from "./parts.ts";

export async function checkRepositories(check: Check): Promise<void> {
  const broken = new Map<Digest, RepositoryContent[]>();
  for (const content of await check.store.repositories.contents()) {
    check.context.signal.throwIfAborted();
    const state = await stateOf(check, content.digest);
    if (state === "whole") continue;
    tell(check, content, state);
    broken.set(content.digest, [...(broken.get(content.digest) ?? []), content]);
  }
  if (check.repair) for (const [digest, contents] of broken) await mend(check, digest, contents);
}

function tell({ findings }: Check, { origin, name, kind, digest }: RepositoryContent, state: BlobState): void {
  const what = `${origin === "mirror" ? "mirrored " : ""}repository ${name}: ${kind} ${digest} is ${state}`;
  findings.add(state === "missing" ? "blob-missing" : "blob-damaged", what, { digest });
}

/** As long as damaged bytes lie there, whoever pushes is told that they need not. */
async function mend(check: Check, digest: Digest, contents: readonly RepositoryContent[]): Promise<void> {
  const { store, findings, states, context } = check;
  if ((await lstat(store.content.pathOf(digest)).catch(() => undefined)) !== undefined) {
    await store.content.removeDamaged(digest, { signal: context.signal });
  }
  states.set(digest, "missing");
  if (contents.some(({ origin }) => origin === "mirror")) await store.repositories.forget("mirror", digest);
  const lost = contents.find(({ origin }) => origin === "hosted");
  if (lost === undefined) findings.repairedDigest(digest);
  else findings.failedDigest(digest, `push it again to ${lost.name}`);
}
