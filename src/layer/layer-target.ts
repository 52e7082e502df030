/**
 * Where a layer's tar is unpacked to, as plain data, because the unpacking may happen in a thread; and what came of it. The layers below
 * are not known: what depends on them is noted, and settled when the layer is bound to its parent.
 */
import type { Digest } from "../oci/digest.ts";
import type { ApplyReport } from "./report.ts";

export type LayerTarget =
  /** The tar as it is and an EROFS index over it: `layer.tar`, `index.erofs` and, rarely, `extra` are made in the directory. */
  | {
      readonly form: "erofs";
      readonly directory: string;
      /**
       * Where the tar is a file already, from which it is read. It is not written then: who wants the layer puts it into the directory
       * (place-tar.ts). Default: `layer.tar` is written too.
       */
      readonly tar?: string;
    }
  /** A tree that an overlay takes as a layer: the directory becomes its root. */
  | {
      readonly form: "overlay";
      readonly directory: string;
      /** Whether opaque directories are marked by `user.overlay.*` rather than `trusted.overlay.*`. */
      readonly userXattr: boolean;
      /** Where to leave what gives, with the tree, the tar again (seekable/kept-split.ts). Default: it is not kept. */
      readonly split?: string;
    };

/** What the layer's tar left open, because it depends on the layers below. */
export interface OpenEnds {
  /** Directories that the tar takes for granted, parents before children, `/` between names and none in front. The root is "". */
  readonly implied: readonly string[];
  /**
   * Why the layer cannot be settled by its parents' metadata alone, and has to be applied again onto them: a hard link to a file that
   * is not in the layer, a parent that the layer implies first and describes or replaces later, ... Undefined when it can.
   */
  readonly replay: string | undefined;
  /**
   * In overlay form: directories that hold whiteouts or are marked opaque, named as in `implied`. Where no lower layer has such a
   * directory the marks must go, for they would show.
   */
  readonly marked?: readonly string[];
}

export interface UnpackedLayer {
  readonly diffId: Digest;
  /** Bytes of the tar. */
  readonly size: number;
  readonly report: ApplyReport;
  readonly open: OpenEnds;
}
