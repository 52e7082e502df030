/**
 * How the disks of a virtual machine are got (formats "tart" §2 and §5): what this machine holds is local, each content that it lacks is fetched
 * once however often it occurs, zeros are never fetched. A manifest names no digest of a whole disk, only those of its chunks; so there is
 * a recipe for each content, which is made in its first place and copied from there to the others. Where nothing is made, the disk has holes.
 */
import type { ChunkedDisk } from "../codec/tart/disk-image.ts";
import type { Digest } from "../oci/digest.ts";
import { planContent } from "./disk-content.ts";
import { DiskContents, type DiskPlace } from "./disk-contents.ts";
import type { HeldPieces, Refusal } from "./piece-segments.ts";
import type { Cost, Plan } from "./plan.ts";

/** One content, and where it belongs. */
export interface ContentPlan {
  /** Makes the content; its target's digest is that of what is decompressed. */
  readonly plan: Plan;
  /** Where it is to be made. */
  readonly first: DiskPlace;
  /** Where the same is to be copied to, by sharing it where the file system can. */
  readonly copies: readonly DiskPlace[];
}

export interface DisksPlan {
  /** In the order in which the disks begin to need them. */
  readonly contents: readonly ContentPlan[];
  /** Of all contents together; `zero` are bytes that stay holes, `local` also those that are copied within the disks. */
  readonly cost: Cost;
  /** Of `cost.local`, bytes that are copied from one place of the disks to another. */
  readonly copied: number;
  /** For people: one clause, without a full stop. */
  readonly why: string;
}

/**
 * The contents to search this machine for.
 * @param zeros digests of content that is nothing but zeros, see `zeroContents`
 * @returns a refusal where a chunk's content has no digest: no recipe can make what nobody can tell
 */
export function diskContents(disks: readonly ChunkedDisk[], zeros: ReadonlySet<Digest>): DiskContents | Refusal {
  for (const { name, chunks } of disks) {
    const unknown = chunks.find(({ digest }) => digest === undefined);
    if (unknown !== undefined) return { refused: `nothing tells what ${name} holds at byte ${unknown.offset}` };
  }
  return new DiskContents(disks, zeros);
}

/**
 * @param held asked with numbers of `contents`
 * @param hasBlob whether a blob is here, so that nothing of it comes over the network. Default: none is
 */
export function planDisks(
  contents: DiskContents,
  held: HeldPieces,
  hasBlob: (blob: Digest) => boolean = () => false,
): DisksPlan {
  const total = { network: 0, local: 0, data: 0, zero: contents.zeroBytes, requests: 0 };
  let copied = 0;
  const plans = Array.from({ length: contents.length }, (_, piece): ContentPlan => {
    const chunk = contents.chunk(piece);
    const plan = planContent(chunk, { place: held.get(piece), blobHeld: hasBlob(chunk.blob.digest) });
    const [first, ...copies] = contents.places(piece);
    total.network += plan.cost.network;
    total.local += plan.cost.local;
    total.requests += plan.cost.requests;
    copied += copies.length * contents.size(piece);
    return { plan, first: first!, copies };
  });
  const wanted = plans.reduce((sum, { plan }) => sum + plan.recipe.target.size, 0);
  const why = `${total.local} of ${wanted} bytes are here, ${copied} occur again, ${total.zero} are zeros`;
  return { contents: plans, cost: { ...total, local: total.local + copied }, copied, why };
}
