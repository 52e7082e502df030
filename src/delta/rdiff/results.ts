/** What the use cases of `varve rdiff` report. All sizes are bytes. */
import type { SignatureKind } from "../../codec/librsync/kinds.ts";

interface Result {
  /** Where it was written. */
  readonly output: string;
  /** Of what was written. */
  readonly bytes: number;
  readonly durationMs: number;
}

export interface SignatureResult extends Result, SignatureKind {
  readonly action: "signature";
  readonly basis: string;
  readonly basisBytes: number;
  readonly blocks: number;
  readonly blockBytes: number;
  readonly strongBytes: number;
}

export interface DeltaResult extends Result {
  /** `delta`: from a signature; `diff`: from the basis itself. */
  readonly action: "delta" | "diff";
  readonly target: string;
  readonly targetBytes: number;
  /** Commands, and how much of the target they make. */
  readonly copies: number;
  readonly copiedBytes: number;
  readonly literals: number;
  readonly literalBytes: number;
}

export interface PatchResult extends Result {
  readonly action: "patch";
  readonly basis: string;
  readonly delta: string;
  readonly deltaBytes: number;
}

export type RdiffResult = SignatureResult | DeltaResult | PatchResult;
