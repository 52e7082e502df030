/** What the index is told of the machine's layers: where each lies, its files, and what keeps it from being collected. */
import type { Digest } from "../../oci/digest.ts";

/** One name of a regular file that has bytes. */
export interface HeldFile {
  /** From the layer's root, as a surrogateescape string without `/` in front. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Which of the layer's `devices` its bytes are on; 0 in a tree. */
  readonly device: number;
  /** Where they begin on it; 0 in a tree. */
  readonly start: number;
}

export interface HeldLayer {
  /** Absolute; goes when the layer goes. The index is kept in it. */
  readonly folder: string;
  /** `devices`: files are ranges of a few files, which are these. `tree`: each is a file of its own below the one directory. */
  readonly form: "devices" | "tree";
  /** Absolute paths. */
  readonly roots: readonly string[];
  /** Of its tar, where it is known. */
  readonly diffId: Digest | undefined;
  /** A file among its roots whose digest and size are known as it is: a tar. */
  readonly whole?: { readonly digest: Digest; readonly size: number; readonly root: number };
  /** Whether another layer that is held has all its files too, so that it need not be looked at unless more is known of it. */
  readonly isCovered: boolean;
  /** Who leases these keeps it. */
  readonly kept: readonly Digest[];
  /** Its one device is a disk: the file itself, of which `files` are ranges, lies beside the folder. Default false: all lies in the folder. */
  readonly isDisk?: boolean;
  /** Makes the folder where it need not be there. Default: it is there as long as the layer is. */
  prepare?(): Promise<void>;
  /** Whether it is still there: asked when what keeps it was leased. */
  isThere(): Promise<boolean>;
  /**
   * All its files, in the order of a walk. One that is damaged, or vanishes meanwhile, has fewer.
   * @throws NodeJS.ErrnoException; VarveError INDEX_INVALID
   */
  files(): Iterable<HeldFile>;
}

/** @returns those that are there now, those made last first. Never what users may still be writing to */
export type ListHeld = () => Promise<readonly HeldLayer[]>;
