/** What is done for each kind of job: the use case, with what the job was given. */
import { parsePlatform } from "../../oci/platform.ts";
import type { TransferContext } from "../../transfer/context.ts";
import type { JobKind, JobKinds } from "./types.ts";

export interface JobSettings {
  /** As `--delta-root`. */
  readonly deltaRoots: readonly string[];
}

type Runner<Kind extends JobKind> = (
  context: TransferContext,
  input: JobKinds[Kind]["input"],
  settings: JobSettings,
) => Promise<JobKinds[Kind]["result"]>;

const RUNNERS: { readonly [Kind in JobKind]: Runner<Kind> } = {
  async pull(context, { reference, platform, ...options }, { deltaRoots }) {
    const { pull } = await import("../../transfer/pull.ts");
    return pull(context, reference, { ...options, ...parsed(platform), deltaRoots });
  },
  async delta(context, { base, target, platform, ...options }) {
    const { createDelta } = await import("../../transfer/deltas/create.ts");
    return createDelta(context, base, target, { ...options, ...parsed(platform) });
  },
  async gc(context, input) {
    const { collectGarbage } = await import("../../transfer/gc.ts");
    return collectGarbage(context, input);
  },
  async fsck(context, input) {
    const { checkStore } = await import("../../transfer/fsck.ts");
    return checkStore(context, input);
  },
};

/** @throws VarveError as the use case; the signal's reason */
export function runJob<Kind extends JobKind>(
  kind: Kind,
  context: TransferContext,
  input: JobKinds[Kind]["input"],
  settings: JobSettings,
): Promise<JobKinds[Kind]["result"]> {
  return RUNNERS[kind](context, input, settings);
}

function parsed(platform: string | undefined): { readonly platform?: ReturnType<typeof parsePlatform> } {
  return platform === undefined ? {} : { platform: parsePlatform(platform) };
}
