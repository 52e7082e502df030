/** Puts content into a registry that takes pushes, as clients do: blobs by POST and PUT, then the manifest. */
import { createReadStream } from "node:fs";
import { request } from "undici";
import { MANIFEST_TYPE, type BenchBlob, type BenchContent } from "./content.ts";

/** @throws Error when the registry refuses */
export async function pushContent(host: string, name: string, content: BenchContent): Promise<void> {
  for (const blob of [content.large, ...content.mixed]) await pushBlob(host, name, blob);
  await must(201, `http://${host}/v2/${name}/manifests/1`, {
    method: "PUT",
    headers: { "content-type": MANIFEST_TYPE },
    body: content.manifest,
  });
}

async function pushBlob(host: string, name: string, { digest, size, path }: BenchBlob): Promise<void> {
  const begun = await must(202, `http://${host}/v2/${name}/blobs/uploads/`, { method: "POST" });
  const target = new URL(begun, `http://${host}`);
  target.searchParams.set("digest", digest);
  const headers = { "content-type": "application/octet-stream", "content-length": String(size) };
  await must(201, target.href, { method: "PUT", headers, body: createReadStream(path) });
}

/** @returns the answer's Location */
async function must(status: number, url: string, options: Parameters<typeof request>[1]): Promise<string> {
  const answer = await request(url, { ...options, bodyTimeout: 600_000, headersTimeout: 600_000 });
  const text = await answer.body.text();
  if (answer.statusCode !== status) throw new Error(`${url} answered ${answer.statusCode}: ${text}`);
  return String(answer.headers["location"] ?? "");
}
