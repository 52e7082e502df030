/** Moves a tag to a manifest that the registry has. */
import type { PublishedImage } from "../faults/lib/published-image.ts";

export async function pushTag(host: string, repository: string, tag: string, image: PublishedImage): Promise<void> {
  const from = await fetch(`http://${host}/v2/${image.name}/manifests/${image.digest}`);
  const type = from.headers.get("content-type") ?? "";
  const body = Buffer.from(await from.arrayBuffer());
  // The layers have to be known to the tag's repository.
  for (const digest of [image.config, ...image.layers.map((layer) => layer.digest)]) {
    const mount = `http://${host}/v2/${repository}/blobs/uploads/?mount=${digest}&from=${image.name}`;
    const { status } = await fetch(mount, { method: "POST" });
    if (status !== 201) throw new Error(`mounting ${digest}: ${status}`);
  }
  const put = await fetch(`http://${host}/v2/${repository}/manifests/${tag}`, {
    method: "PUT",
    headers: { "content-type": type },
    body,
  });
  if (put.status !== 201) throw new Error(`moving ${repository}:${tag}: ${put.status}`);
}
