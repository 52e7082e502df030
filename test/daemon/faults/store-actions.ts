/** What clients ask of the store by the API: images and names of their own, plans, snapshots, what it takes and would free. */
import type { ImageList, Tagged } from "../../../src/daemon/api/schemas/images.ts";
import type { PullResult } from "../../../src/daemon/api/schemas/pulls.ts";
import type { SnapshotList } from "../../../src/daemon/api/schemas/snapshots.ts";
import { api, asked, codeOf, json, type Client } from "./client.ts";
import { referenceOf } from "./job-actions.ts";

export async function planPull(client: Client): Promise<void> {
  const reference = referenceOf(client);
  const { unpacks } = client.world;
  const answer = await asked(
    client,
    api("POST", "/v1/plans", { reference, unpack: unpacks && client.rng.chance(0.5) }),
    { statuses: [200], upstream: true },
  );
  if (answer === undefined) return;
  const { status, digest } = json(answer) as PullResult;
  const image = client.world.upstream.images.find(({ name, tag }) => reference.endsWith(`/${name}:${tag}`));
  if (!["planned", "up-to-date"].includes(status) || digest !== image?.digest)
    throw new Error(`the plan of ${reference} is ${status}, ${digest}`);
}

/** Every image is one that upstream has, or made of those. */
export async function listImages(client: Client): Promise<void> {
  const { images } = client.world.upstream;
  const { host } = client.world.upstream.proxy;
  const answer = await asked(client, api("GET", "/v1/images?limit=1000"), { statuses: [200] });
  if (answer === undefined) return;
  for (const { name, digest } of (json(answer) as ImageList).images) {
    const image = images.find((one) => name === `${host}/${one.name}:${one.tag}`);
    if (image !== undefined && image.digest !== digest) throw new Error(`${name} is ${digest}, not ${image.digest}`);
  }
}

export async function readImage(client: Client): Promise<void> {
  const path = `/v1/images/${encodeURIComponent(referenceOf(client))}${client.rng.pick(["", "/layers"])}`;
  await asked(client, api("GET", path), { statuses: [200, 404] });
}

export async function removeImage(client: Client): Promise<void> {
  const aliases = client.held.keys().filter((key) => key.startsWith("image "));
  const alias = aliases.length > 0 && client.rng.chance(0.5) ? client.rng.pick(aliases) : undefined;
  const name = alias?.slice("image ".length) ?? referenceOf(client);
  const answer = await asked(client, api("DELETE", `/v1/images/${encodeURIComponent(name)}`), { statuses: [200, 404] });
  if (alias === undefined) return;
  if (answer === undefined) client.held.maybe(alias, undefined);
  else if (answer.status === 404) client.held.found(alias, undefined);
  else client.held.is(alias, undefined);
}

export async function tagImage(client: Client): Promise<void> {
  const source = referenceOf(client);
  const { upstream } = client.world;
  const digest = upstream.images.find(({ name, tag }) => source.endsWith(`/${name}:${tag}`))!.digest;
  const name = `${client.name}.test/alias:${client.rng.int(3)}`;
  const path = `/v1/images/${encodeURIComponent(source)}/tag`;
  const answer = await asked(client, api("POST", path, { name }), { statuses: [200, 404] });
  if (answer === undefined) return client.held.maybe(`image ${name}`, digest);
  if (answer.status === 404) return;
  if ((json(answer) as Tagged).digest !== digest)
    throw new Error(`${name} was made ${answer.bytes.toString()}, not ${digest}`);
  client.held.is(`image ${name}`, digest);
}

export async function prepareSnapshot(client: Client): Promise<void> {
  const { rng, held, world } = client;
  // Without a driver there are none.
  if (!world.unpacks) return readTotals(client);
  const key = `${client.name}-${rng.int(4)}`;
  const onImage = rng.chance(0.4);
  const body = { key, ...(onImage && { parent: referenceOf(client) }), ...(rng.chance(0.2) && { kind: "view" }) };
  const answer = await asked(client, api("POST", "/v1/snapshots", body), { statuses: [201, 404, 409] });
  if (answer === undefined) return held.maybe(`snapshot ${key}`, "there");
  if (answer.status === 201) held.is(`snapshot ${key}`, "there");
  else if (answer.status === 409 && codeOf(answer) === "SNAPSHOT_EXISTS") held.found(`snapshot ${key}`, "there");
}

export async function readSnapshot(client: Client): Promise<void> {
  const key = `${client.name}-${client.rng.int(4)}`;
  const path = `/v1/snapshots/${key}/${client.rng.pick(["mounts", "usage"])}`;
  const answer = await asked(client, api("GET", path), { statuses: [200, 404] });
  if (answer !== undefined) client.held.found(`snapshot ${key}`, answer.status === 404 ? undefined : "there");
}

export async function removeSnapshot(client: Client): Promise<void> {
  const key = `${client.name}-${client.rng.int(4)}`;
  const answer = await asked(client, api("DELETE", `/v1/snapshots/${key}`), { statuses: [204, 404] });
  if (answer === undefined) return client.held.maybe(`snapshot ${key}`, undefined);
  if (answer.status === 404) client.held.found(`snapshot ${key}`, undefined);
  else client.held.is(`snapshot ${key}`, undefined);
}

/** Names and snapshots that were acknowledged are in the lists, and none that were not. */
export async function checkHeld(client: Client): Promise<void> {
  const images = await asked(client, api("GET", "/v1/images?limit=1000"), { statuses: [200] });
  const snapshots = await asked(client, api("GET", "/v1/snapshots?limit=1000"), { statuses: [200] });
  if (images === undefined || snapshots === undefined) return;
  const there = new Map<string, string>([
    ...(json(images) as ImageList).images.map(({ name, digest }): [string, string] => [`image ${name}`, digest]),
    ...(json(snapshots) as SnapshotList).snapshots.map(({ key }): [string, string] => [`snapshot ${key}`, "there"]),
  ]);
  for (const key of client.held.keys()) client.held.found(key, there.get(key));
}

export async function readTotals(client: Client): Promise<void> {
  const path = client.rng.pick([
    "/v1/version",
    "/v1/df",
    "/v1/gc",
    "/v1/deltas",
    "/v1/disks",
    "/metrics",
    "/healthz",
    "/readyz",
    "/v2/",
    "/",
  ]);
  const { bytes } = (await asked(client, api("GET", path), { statuses: [200] })) ?? {};
  if (bytes !== undefined && path.startsWith("/v1/")) JSON.parse(bytes.toString());
}
