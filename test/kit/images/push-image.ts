/** Puts an image into any registry, by the plainest path through the protocol: POST, PUT, then manifests bottom up. */
import { request, type Dispatcher } from "undici";
import type { KitBlob, KitImage, KitIndex } from "./build-image.ts";

export interface PushOptions {
  /** Sent as Basic with every request. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** Sent as Bearer with every request. */
  readonly token?: string;
  /** Default http. */
  readonly scheme?: "http" | "https";
  /** For HTTPS with a CA of the test's own. */
  readonly dispatcher?: Dispatcher;
}

/**
 * @param host `127.0.0.1:PORT`
 * @param name repository
 * @throws Error with status and body when the registry refuses something
 */
export async function pushImage(
  host: string,
  name: string,
  tag: string,
  image: KitImage | KitIndex,
  options: PushOptions = {},
): Promise<void> {
  const repository = `${options.scheme ?? "http"}://${host}/v2/${name}`;
  const images = image.kind === "index" ? image.images : [image];
  for (const { blobs } of images) {
    for (const blob of blobs) await pushBlob(repository, blob, options);
  }
  if (image.kind === "index") {
    for (const child of image.images) await pushManifest(repository, child.digest, child, options);
  }
  await pushManifest(repository, tag, image, options);
}

async function pushBlob(repository: string, { digest, bytes }: KitBlob, options: PushOptions): Promise<void> {
  const head = await call("HEAD", `${repository}/blobs/${digest}`, options);
  if (head.status === 200) return;
  const start = await call("POST", `${repository}/blobs/uploads/`, options);
  expectStatus(start, 202);
  const location = new URL(start.location ?? "", `${repository}/blobs/uploads/`);
  location.searchParams.set("digest", digest);
  expectStatus(await call("PUT", location.href, options, bytes, "application/octet-stream"), 201);
}

async function pushManifest(
  repository: string,
  reference: string,
  { bytes, descriptor }: KitImage | KitIndex,
  options: PushOptions,
): Promise<void> {
  expectStatus(await call("PUT", `${repository}/manifests/${reference}`, options, bytes, descriptor.mediaType), 201);
}

interface Answer {
  readonly what: string;
  readonly status: number;
  readonly location: string | undefined;
  readonly body: string;
}

async function call(
  method: Dispatcher.HttpMethod,
  url: string,
  options: PushOptions,
  body: Buffer = Buffer.alloc(0),
  type?: string,
): Promise<Answer> {
  const { credentials, token, dispatcher } = options;
  const basic = credentials && Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64");
  const authorization = token === undefined ? basic && `Basic ${basic}` : `Bearer ${token}`;
  const {
    statusCode,
    headers,
    body: answer,
  } = await request(url, {
    method,
    ...(method !== "HEAD" && { body }),
    ...(dispatcher && { dispatcher }),
    headers: { ...(authorization && { authorization }), ...(type && { "content-type": type }) },
  });
  const location = headers["location"];
  return {
    what: `${method} ${url}`,
    status: statusCode,
    location: Array.isArray(location) ? location[0] : location,
    body: await answer.text(),
  };
}

function expectStatus({ what, status, body }: Answer, wanted: number): void {
  if (status !== wanted) throw new Error(`${what}: ${status} instead of ${wanted}: ${body.slice(0, 500)}`);
}
