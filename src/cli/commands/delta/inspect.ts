/** `varve delta inspect IMAGE` */
import type { DeltaDetails } from "../../../transfer/deltas/inspect-types.ts";
import { DELTA_ROOT_FLAGS, deltaRootsOf } from "../../delta-flags.ts";
import { renderDeltaDetails } from "../../print/delta-inspect.ts";
import type { Action } from "../actions/action.ts";

export const inspectAction: Action<DeltaDetails> = {
  name: "inspect",
  usage: "inspect DELTA [--delta-root DIR]",
  words: [1, 1],
  completes: () => "place",
  flags: DELTA_ROOT_FLAGS,
  notes: [
    "inspect tells of a delta, in the store or with a transport before its name, what it is taken from and makes, and whether it could be applied here.",
  ],
  examples: ["varve delta inspect docker://registry.example/app:v1-v2"],

  run({ args, flags, settings, services }) {
    return services.inspectDelta(args[0] ?? "", {
      deltaRoots: deltaRootsOf(flags, settings),
      ...(settings.platform && { platform: settings.platform }),
    });
  },

  render: renderDeltaDetails,
};
