/** What clients ask of the mirror: images of upstream by tag and digest, with `ns` and with the host in the path. */
import { asked, json, type Client } from "./client.ts";
import { mustEqual, readBlob } from "./read-blob.ts";
import type { Published } from "./upstream.ts";

export async function mirrorBlob(client: Client): Promise<void> {
  const { digest, name, bytes } = client.rng.pick(client.world.upstream.blobs);
  await readBlob(client, { path: pathOf(client, name, `blobs/${digest}`), digest, bytes }, true);
}

export async function mirrorManifest(client: Client): Promise<void> {
  const { rng, world } = client;
  const image = rng.chance(0.5) ? rng.pick(world.upstream.images) : rng.pick(world.upstream.manifests);
  const byTag = world.upstream.images.includes(image) && rng.chance(0.6);
  const path = pathOf(client, image.name, `manifests/${byTag ? image.tag : image.digest}`);
  const method = rng.chance(0.4) ? "HEAD" : "GET";
  const answer = await asked(client, { method, path, headers: { accept: "*/*" } }, { statuses: [200], upstream: true });
  if (answer === undefined) return;
  mustBe(image, answer.headers, path);
  if (method === "GET") mustEqual(answer.bytes, image.bytes, path);
}

export async function mirrorTags(client: Client): Promise<void> {
  const { upstream } = client.world;
  const { name } = client.rng.pick(upstream.images);
  const path = pathOf(client, name, "tags/list");
  const answer = await asked(client, { method: "GET", path }, { statuses: [200], upstream: true });
  if (answer === undefined) return;
  const { tags } = json(answer) as { tags: string[] };
  const wanted = upstream.images.filter((image) => image.name === name).map(({ tag }) => tag);
  if (tags.join() !== wanted.toSorted().join()) throw new Error(`${path} answered ${tags.join()}`);
}

/** What upstream has not got is not there, and nothing else is said of it. */
export async function mirrorNothing(client: Client): Promise<void> {
  const { rng } = client;
  const digest = `sha256:${rng.bytes(32).toString("hex")}`;
  const rest = rng.pick([`blobs/${digest}`, `manifests/${digest}`, "manifests/none"]);
  await asked(client, { method: "GET", path: pathOf(client, "app", rest) }, { statuses: [404], upstream: true });
}

function pathOf({ rng, world }: Client, name: string, rest: string): string {
  const { host } = world.upstream.proxy;
  return rng.chance(0.5) ? `/v2/${host}/${name}/${rest}` : `/v2/${name}/${rest}?ns=${encodeURIComponent(host)}`;
}

function mustBe(image: Published, headers: Record<string, unknown>, path: string): void {
  const told = [headers["docker-content-digest"], headers["content-type"], headers["content-length"]].join(" ");
  const wanted = [image.digest, image.mediaType, image.bytes.length].join(" ");
  if (told !== wanted) throw new Error(`${path} says ${told}, not ${wanted}`);
}
