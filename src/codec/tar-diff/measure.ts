/** What a tar-diff makes, without the tar that it copies from: its own bytes tell. */
import { readTarDiffOps } from "./read-ops.ts";
import { TarDiffParser } from "./op-parser.ts";
import type { TarDiffCounts } from "./op-writer.ts";
import { VarveError } from "../../errors/varve-error.ts";

export interface MeasureOptions {
  /** Bytes that may come out at most. Default: any. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/**
 * One pass over the delta. The tar's size is the sum of data, copied and added.
 * @throws VarveError `DELTA_INVALID`, `INGEST_LIMIT` when more would come out than may; what the source throws
 */
export async function measureTarDiff(
  delta: AsyncIterable<Uint8Array>,
  { limit = Number.MAX_SAFE_INTEGER, signal }: MeasureOptions = {},
): Promise<Readonly<TarDiffCounts>> {
  const counts: TarDiffCounts = { data: 0, copied: 0, added: 0, operations: 0 };
  const parser = new TarDiffParser();
  for await (const chunk of readTarDiffOps(delta, { signal })) {
    parser.give(chunk);
    for (let op = parser.next(); op !== undefined; op = parser.next()) {
      if (op === "copy") counts.copied += parser.length;
      else if (op === "data") counts.data += parser.to - parser.from;
      else if (op === "add") counts.added += parser.to - parser.from;
    }
    counts.operations = parser.operations;
    if (counts.data + counts.added + counts.copied > limit) {
      throw new VarveError("INGEST_LIMIT", `the delta makes more than the ${limit} bytes that it may`);
    }
  }
  parser.end();
  return counts;
}
