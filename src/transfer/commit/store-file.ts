/** A blob that waited in a file without a name, because its digest was not known before its last byte, takes its place in the store. */
import { Digester, type Digest } from "../../oci/digest.ts";
import type { TransferContext } from "../context.ts";
import type { UnnamedFile } from "./unnamed-file.ts";

/** The digest has to be leased. @throws VarveError `NO_SPACE`, `PERMISSION`, `IO`, `DIGEST_MISMATCH` when the file is not what it was */
export async function storeFile(
  { store, signal }: Pick<TransferContext, "store" | "signal">,
  { digest, size }: { readonly digest: Digest; readonly size: number },
  file: UnnamedFile,
): Promise<void> {
  const place = await store.content.ingest({ digest, size }, { signal });
  if (!("commit" in place)) return;
  await using ingest = place;
  const digester = new Digester();
  for await (const chunk of file.read()) {
    signal.throwIfAborted();
    await ingest.write(digester.size, chunk);
    digester.update(chunk);
  }
  const written = digester.size;
  await ingest.commit({ digest: digester.digest(), size: written });
}
