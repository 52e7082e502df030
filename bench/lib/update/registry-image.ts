/** The few bytes of a registry's protocol that preparing images takes: plain HTTP, images and no indexes. */
import { Readable } from "node:stream";
import type { Descriptor } from "../../../src/oci/descriptor.ts";

const ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/** @param image `HOST/NAME:TAG` @throws Error when it is not there */
export async function layersOf(image: string): Promise<readonly Descriptor[]> {
  const { repository, tag } = placeOf(image);
  const answer = await fetch(`${repository}/manifests/${tag}`, { headers: { accept: ACCEPT } });
  if (!answer.ok) throw new Error(`${image}: ${answer.status}`);
  const { layers } = (await answer.json()) as { layers?: Descriptor[] };
  if (layers === undefined) throw new Error(`${image} is not the image of one platform`);
  return layers;
}

export async function hasImage(image: string): Promise<boolean> {
  const { repository, tag } = placeOf(image);
  return (await fetch(`${repository}/manifests/${tag}`, { method: "HEAD", headers: { accept: ACCEPT } })).ok;
}

/** A layer's blob, or the part of it from one byte to before another. */
export async function openLayer(
  image: string,
  { digest }: Descriptor,
  range?: { readonly start: number; readonly end: number },
): Promise<Readable> {
  const headers: Record<string, string> = range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` };
  const answer = await fetch(`${placeOf(image).repository}/blobs/${digest}`, { headers });
  if (!answer.ok || answer.body === null) throw new Error(`${digest} of ${image}: ${answer.status}`);
  return Readable.fromWeb(answer.body);
}

function placeOf(image: string): { repository: string; tag: string } {
  const [, host, name, tag] = /^([^/]+)\/(.+):([^:/]+)$/.exec(image) ?? [];
  if (host === undefined || name === undefined || tag === undefined) throw new Error(`${image} is no HOST/NAME:TAG`);
  return { repository: `http://${host}/v2/${name}`, tag };
}
