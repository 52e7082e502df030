/**
 * The typed messages between {@link DeltaPool} and its threads. Threads read tars that lie in files themselves, others through who has them open: pieces
 * are transferred, never copied on the way. Descriptors of files are the process's, so threads share them.
 */
import type { RawDelta, WrittenTarDiff } from "../delta/image/threads.ts";
import type { TarPart } from "../layer/seekable/seekable-tar.ts";
import type { PlainError } from "./messages.ts";

/** A tar that is open on the other side. */
export interface FarTar {
  readonly number: number;
  readonly size: number;
  /** What it consists of, when it is several one after the other. */
  readonly tars?: readonly FarTar[];
  /** Where all of it lies, in order, when that is a few files. */
  readonly files?: readonly FilePart[];
}

export type FilePart = Extract<TarPart, { kind: "file" }>;

export type DeltaJob =
  /** Indexes the base for all deltas that follow. */
  | { readonly kind: "index"; readonly base: FarTar }
  | { readonly kind: "write"; readonly target: FarTar; readonly output: number }
  | { readonly kind: "tar-diff"; readonly from: FarTar; readonly target: FarTar; readonly output: number };

export type DeltaMade = RawDelta | WrittenTarDiff | undefined;

export type ToDeltaThread =
  | { readonly type: "start"; readonly id: number; readonly job: DeltaJob }
  | { readonly type: "cancel"; readonly id: number }
  | { readonly type: "bytes"; readonly read: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: "unread"; readonly read: number; readonly error: PlainError };

export type FromDeltaThread =
  | {
      readonly type: "read";
      readonly read: number;
      readonly tar: number;
      readonly position: number;
      readonly length: number;
    }
  | { readonly type: "progress"; readonly id: number; readonly done: number }
  | { readonly type: "done"; readonly id: number; readonly made: DeltaMade }
  | { readonly type: "failed"; readonly id: number; readonly error: PlainError };
