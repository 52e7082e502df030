/** One client of a registry that pushes, mounts and deletes at random in a repository of its own, and knows what is to be there then. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import { MEDIA_TYPES } from "../../../src/oci/media-types.ts";
import { createRng } from "../../kit/images/rng.ts";
import { callsTo } from "../../kit/net/call.ts";

const TAGS = ["x", "y", "z"] as const;

/** What one repository is to have. */
interface Model {
  readonly blobs: Map<Digest, Buffer>;
  readonly manifests: Map<Digest, Buffer>;
  readonly tags: Map<string, Digest>;
}

type Rng = ReturnType<typeof createRng>;

function pick<T>(rng: Rng, values: readonly T[]): T | undefined {
  return values[Math.floor((rng.bytes(4).readUInt32LE() / 2 ** 32) * values.length)];
}

export class RandomClient {
  readonly #call: ReturnType<typeof callsTo>;
  readonly #rng: Rng;
  readonly name: string;
  readonly model: Model = { blobs: new Map(), manifests: new Map(), tags: new Map() };

  constructor(url: string, name: string, seed: number) {
    this.#call = callsTo(() => url);
    this.#rng = createRng(seed);
    this.name = name;
  }

  async step(others: readonly RandomClient[]): Promise<void> {
    await pick(this.#rng, [
      () => this.#push(),
      () => this.#push(),
      () => this.#chunks(),
      () => this.#lie(),
      () => this.#mount(pick(this.#rng, others)!),
      () => this.#manifest(),
      () => this.#manifest(),
      () => this.#dropBlob(),
      () => this.#dropTag(),
      () => this.#dropManifest(),
    ])!();
  }

  /** @param known digests that anybody ever had */
  async verify(known: ReadonlySet<Digest>): Promise<void> {
    const { blobs, manifests, tags } = this.model;
    for (const digest of known) {
      for (const [kind, held] of [
        ["blobs", blobs],
        ["manifests", manifests],
      ] as const) {
        const { status, bytes } = await this.#call("GET", `/v2/${this.name}/${kind}/${digest}`);
        const wanted = held.get(digest);
        deepEqual([this.name, kind, digest, status], [this.name, kind, digest, wanted === undefined ? 404 : 200]);
        if (wanted !== undefined) equal(bytes.equals(wanted), true);
      }
    }
    const list = await this.#call("GET", `/v2/${this.name}/tags/list`);
    if (list.status === 200) deepEqual(list.json()["tags"], [...tags.keys()].sort());
    else equal(tags.size, 0);
    for (const [tag, digest] of tags) {
      const head = await this.#call("HEAD", `/v2/${this.name}/manifests/${tag}`);
      equal(head.headers["docker-content-digest"], digest);
    }
  }

  /** Few and small, so that clients push the same ones. */
  #blob(): Buffer {
    return createRng(this.#rng.bytes(1)[0]! % 12).bytes(1000);
  }

  async #push(): Promise<void> {
    const bytes = this.#blob();
    const answer = await this.#call("POST", `${this.#uploads}?digest=${digestOf(bytes)}`, {}, bytes);
    equal(answer.status, 201);
    this.model.blobs.set(digestOf(bytes), bytes);
  }

  async #chunks(): Promise<void> {
    const bytes = this.#blob();
    const { headers } = await this.#call("POST", this.#uploads);
    const location = headers["location"]!;
    for (const start of [0, 400]) {
      const range = { "content-range": `${start}-${start + 399}` };
      await this.#call("PATCH", location, range, bytes.subarray(start, start + 400));
    }
    const put = await this.#call("PUT", `${location}?digest=${digestOf(bytes)}`, {}, bytes.subarray(800));
    equal(put.status, 201);
    this.model.blobs.set(digestOf(bytes), bytes);
  }

  async #lie(): Promise<void> {
    const answer = await this.#call("POST", `${this.#uploads}?digest=${digestOf(this.#blob())}`, {}, "other bytes");
    equal(answer.status, 400);
  }

  async #mount(from: RandomClient): Promise<void> {
    const bytes = this.#blob();
    // Of a repository that others change at the same time: whatever is answered has to hold.
    const { status } = await this.#call("POST", `${this.#uploads}?mount=${digestOf(bytes)}&from=${from.name}`);
    ok(status === 201 || status === 202);
    if (status === 201) this.model.blobs.set(digestOf(bytes), bytes);
  }

  async #manifest(): Promise<void> {
    const digests = [...this.model.blobs.keys()];
    const config = pick(this.#rng, digests);
    const layers = digests.filter(() => this.#rng.bytes(1)[0]! < 100);
    if (config === undefined) return;
    const described = (digest: Digest) => ({ mediaType: MEDIA_TYPES.ociLayer, digest, size: 1000 });
    const document = { schemaVersion: 2, config: described(config), layers: layers.map(described) };
    const bytes = Buffer.from(JSON.stringify(document));
    const tag = pick(this.#rng, TAGS)!;
    const type = { "content-type": MEDIA_TYPES.ociManifest };
    const { status } = await this.#call("PUT", `/v2/${this.name}/manifests/${tag}`, type, bytes);
    equal(status, 201);
    this.model.manifests.set(digestOf(bytes), bytes);
    this.model.tags.set(tag, digestOf(bytes));
  }

  async #dropBlob(): Promise<void> {
    const digest = pick(this.#rng, [...this.model.blobs.keys()]);
    if (digest === undefined) return;
    equal((await this.#call("DELETE", `/v2/${this.name}/blobs/${digest}`)).status, 202);
    this.model.blobs.delete(digest);
  }

  async #dropTag(): Promise<void> {
    const tag = pick(this.#rng, TAGS)!;
    const { status } = await this.#call("DELETE", `/v2/${this.name}/manifests/${tag}`);
    equal(status, this.model.tags.delete(tag) ? 202 : 404);
  }

  async #dropManifest(): Promise<void> {
    const digest = pick(this.#rng, [...this.model.manifests.keys()]);
    if (digest === undefined) return;
    equal((await this.#call("DELETE", `/v2/${this.name}/manifests/${digest}`)).status, 202);
    this.model.manifests.delete(digest);
    for (const [tag, named] of this.model.tags) if (named === digest) this.model.tags.delete(tag);
  }

  get #uploads(): string {
    return `/v2/${this.name}/blobs/uploads/`;
  }
}
