/** What clients do to repositories of their own: push in all ways, read, tag, delete. What was acknowledged must be there from then on. */
import { digestOf } from "../../../src/oci/digest.ts";
import type { Answer, Question } from "./ask.ts";
import { asked, json, type Client } from "./client.ts";
import { mustEqual, readBlob } from "./read-blob.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar";

/** Config, one or two layers, the manifest, in their order; sometimes with a subject. */
export async function pushImage(client: Client): Promise<void> {
  const { rng } = client;
  const name = repository(client);
  const layers = Array.from({ length: rng.between(1, 2) }, () => rng.bytes(rng.pick([0, 1, 5000, 200_000, 700_000])));
  const config = Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", nonce: rng.int(1e9) }));
  for (const bytes of [...layers, config]) if (!(await pushBlob(client, name, bytes))) return;
  const describe = (mediaType: string, bytes: Buffer): object => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  });
  const document = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: describe(CONFIG, config),
    layers: layers.map((bytes) => describe(LAYER, bytes)),
  };
  await putManifest(
    client,
    name,
    Buffer.from(JSON.stringify(document)),
    rng.chance(0.7) ? `t${rng.int(3)}` : undefined,
  );
}

/** Reads one of those that were acknowledged, or finds out what became of one that was not. */
export async function readHosted(client: Client): Promise<void> {
  const keys = client.hosted.keys();
  if (keys.length > 0) await checkHosted(client, client.rng.pick(keys), true);
}

/** @param ways whether blobs are asked for in any of the ways that there are; else as a whole */
export async function checkHosted(client: Client, key: string, ways: boolean): Promise<void> {
  const [sure, ...more] = client.hosted.of(key);
  const path = `/v2/${key}`;
  const isBlob = key.includes("/blobs/");
  if (isBlob && sure !== undefined && more.length === 0 && ways) {
    return readBlob(client, { path, digest: sure, bytes: client.content.get(sure)! }, false);
  }
  const answer = await asked(client, { method: "GET", path, headers: { accept: "*/*" } }, { statuses: [200, 404] });
  if (answer === undefined) return;
  const found = answer.status === 404 ? undefined : String(answer.headers["docker-content-digest"]);
  client.hosted.found(key, found);
  if (found === undefined) return;
  mustEqual(answer.bytes, client.content.get(found)!, path);
  const type = client.types.get(found);
  if (!isBlob && answer.headers["content-type"] !== type)
    throw new Error(`${path} is ${answer.headers["content-type"]}`);
}

export async function listTags(client: Client): Promise<void> {
  const name = repository(client);
  const answer = await asked(client, { method: "GET", path: `/v2/${name}/tags/list` }, { statuses: [200, 404] });
  if (answer === undefined) return;
  const listed = answer.status === 404 ? [] : ((json(answer) as { tags: string[] }).tags ?? []);
  const prefix = `${name}/manifests/t`;
  for (const [key] of client.hosted.sure()) {
    const tag = key.slice(prefix.length - 1);
    if (key.startsWith(prefix) && !listed.includes(tag))
      throw new Error(`${name} lists ${listed.join()}, without ${tag}`);
  }
  for (const tag of listed) {
    if (client.hosted.of(prefix.slice(0, -1) + tag).every((digest) => digest === undefined))
      throw new Error(`${name} lists ${tag}`);
  }
}

export async function deleteHosted(client: Client): Promise<void> {
  const { hosted, rng } = client;
  const keys = hosted.sure().map(([key]) => key);
  if (keys.length === 0) return;
  const key = rng.pick(keys);
  const answer = await asked(client, { method: "DELETE", path: `/v2/${key}` }, { statuses: [202] });
  const change = answer === undefined ? "maybe" : "is";
  hosted[change](key, undefined);
  const [name = "", digest = ""] = key.split("/manifests/");
  if (!digest.includes(":")) return;
  // With a manifest go the tags that name it.
  for (const tag of hosted.keys()) {
    if (!tag.startsWith(`${name}/manifests/`) || !hosted.of(tag).includes(digest)) continue;
    if (hosted.of(tag).length === 1) hosted[change](tag, undefined);
    else hosted.maybe(tag, undefined);
  }
}

/** @returns whether it was acknowledged */
async function pushBlob(client: Client, name: string, bytes: Buffer): Promise<boolean> {
  const { rng, hosted, content } = client;
  const digest = digestOf(bytes);
  content.set(digest, bytes);
  const key = `${name}/blobs/${digest}`;
  hosted.maybe(key, digest);
  const uploads = `/v2/${name}/blobs/uploads/`;
  const way = rng.int(4);
  const done =
    way === 0
      ? await atOnce(client, `${uploads}?digest=${digest}`, bytes)
      : way === 1
        ? await mount(client, uploads, bytes, digest)
        : await inParts(client, uploads, bytes, digest, way === 2 ? [] : cuts(client, bytes.length));
  if (done?.status !== 201) return false;
  hosted.is(key, digest);
  return true;
}

async function atOnce(client: Client, path: string, body: Buffer): Promise<Answer | undefined> {
  const answer = await send(client, { method: "POST", path, body });
  if (answer === undefined) client.world.count("upload of which no name is known");
  return answer;
}

/** From another repository where it may be, or as an upload after all. */
async function mount(client: Client, uploads: string, bytes: Buffer, digest: string): Promise<Answer | undefined> {
  const path = `${uploads}?mount=${digest}&from=${client.name}/one`;
  const answer = await asked(client, { method: "POST", path, body: Buffer.alloc(0) }, { statuses: [201, 202] });
  if (answer === undefined) client.world.count("upload of which no name is known");
  return answer?.status === 202 ? finish(client, answer, bytes, digest, []) : answer;
}

async function inParts(
  client: Client,
  uploads: string,
  bytes: Buffer,
  digest: string,
  at: readonly number[],
): Promise<Answer | undefined> {
  const begun = await asked(client, { method: "POST", path: uploads, body: Buffer.alloc(0) }, { statuses: [202] });
  if (begun !== undefined) return finish(client, begun, bytes, digest, at);
  client.world.count("upload of which no name is known");
  return undefined;
}

/** Chunks up to each of these places, then what is left with the PUT; now and then the client loses interest. */
async function finish(
  client: Client,
  begun: Answer,
  bytes: Buffer,
  digest: string,
  at: readonly number[],
): Promise<Answer | undefined> {
  const { abandoned } = client.world;
  let location = pathOf(begun);
  const id = /uploads\/([^?/]+)/.exec(location)?.[1] ?? "";
  abandoned.add(id);
  let start = 0;
  for (const end of at) {
    if (client.rng.chance(0.1)) return undefined;
    const headers = { "content-type": "application/octet-stream", "content-range": `${start}-${end - 1}` };
    const chunk = { method: "PATCH", path: location, headers, body: bytes.subarray(start, end) };
    const answer = await asked(client, chunk, { statuses: [202] });
    if (answer === undefined) return undefined;
    if (answer.headers["range"] !== `0-${end - 1}`)
      throw new Error(`an upload has ${answer.headers["range"]}, not ${end} bytes`);
    location = pathOf(answer);
    start = end;
  }
  const path = `${location}${location.includes("?") ? "&" : "?"}digest=${digest}`;
  const done = await send(client, { method: "PUT", path, body: bytes.subarray(start) });
  if (done?.status === 201) abandoned.delete(id);
  return done;
}

function send(client: Client, question: Question): Promise<Answer | undefined> {
  const headers = { "content-type": "application/octet-stream" };
  return asked(client, { ...question, headers }, { statuses: [201] });
}

function cuts({ rng }: Client, size: number): number[] {
  if (size < 2) return [];
  const places = Array.from({ length: rng.between(1, 3) }, () => rng.between(1, size - 1));
  return [...new Set(places)].toSorted((a, b) => a - b);
}

async function putManifest(client: Client, name: string, bytes: Buffer, tag: string | undefined): Promise<void> {
  const { hosted, content, types } = client;
  const digest = digestOf(bytes);
  content.set(digest, bytes);
  types.set(digest, MANIFEST);
  const keys = [digest, ...(tag === undefined ? [] : [tag])].map((reference) => `${name}/manifests/${reference}`);
  const path = `/v2/${name}/manifests/${tag ?? digest}`;
  const question = { method: "PUT", path, headers: { "content-type": MANIFEST }, body: bytes };
  for (const key of keys) hosted.maybe(key, digest);
  const answer = await asked(client, question, { statuses: [201] });
  if (answer === undefined) return;
  for (const key of keys) hosted.is(key, digest);
}

function pathOf({ headers }: Answer): string {
  const url = new URL(headers.location ?? "", "http://there");
  return url.pathname + url.search;
}

function repository({ name, rng }: Client): string {
  return `${name}/${rng.pick(["one", "two"])}`;
}
