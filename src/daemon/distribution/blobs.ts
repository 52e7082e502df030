/** Blobs of a repository: HEAD, GET, DELETE. distribution-spec "Pulling blobs", "Deleting Blobs". */
import type { Digest } from "../../oci/digest.ts";
import { allowMethods, answer, type Exchange } from "./exchange.ts";
import { RegistryError } from "./registry-error.ts";
import { sendBlob } from "./send-blob.ts";
import { writing } from "./writing.ts";

export async function handleBlob(exchange: Exchange, name: string, digest: Digest): Promise<void> {
  allowMethods(exchange, "GET", "HEAD", "DELETE");
  if (exchange.method === "DELETE") return deleteBlob(exchange, name, digest);
  const blob = await exchange.options.source.blob(name, digest, exchange.asked);
  if (blob === undefined) throw unknown(name, digest);
  return sendBlob(exchange, blob);
}

async function deleteBlob(exchange: Exchange, name: string, digest: Digest): Promise<void> {
  const { repositories } = await writing(exchange, "delete", name);
  if (!(await repositories.deleteBlob(name, digest))) throw unknown(name, digest);
  answer(exchange, 202);
}

function unknown(name: string, digest: Digest): RegistryError {
  return new RegistryError(404, "BLOB_UNKNOWN", `${name} has no blob ${digest}`);
}
