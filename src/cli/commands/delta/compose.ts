/** `varve delta compose A-B B-C` */
import type { ComposeDeltasOptions, DeltaComposed } from "../../../transfer/deltas/compose/compose-types.ts";
import { renderDeltaComposed } from "../../print/delta-compose.ts";
import type { Action } from "../actions/action.ts";

export const composeAction: Action<DeltaComposed> = {
  name: "compose",
  usage: "compose A-B B-C [-t NAME:TAG] [--push REF]",
  words: [2, 2],
  completes: () => "image",
  flags: [
    { flags: "-t, --tag <name>", summary: "what is made is called in the store", completes: "image" },
    { flags: "--push <ref>", summary: "where the delta goes in a registry; kept in the store only with --tag then" },
  ],
  notes: [
    "compose makes one delta image of two that follow each other, in the store or anywhere (docker://, oci:, oci-archive:, docker-archive:). None of the " +
      "images that they are between is needed.",
  ],
  examples: ["varve delta compose app:v1-v2 app:v2-v3 -t app:v1-v3"],

  async run({ args, flags, settings, services, logger }) {
    const [first = "", second = ""] = args;
    const { tag, push } = flags;
    const options: ComposeDeltasOptions = {
      ...(typeof tag === "string" && { tag }),
      ...(typeof push === "string" && { push: push.replace(/^docker:\/\//, "") }),
      ...(settings.platform && { platform: settings.platform }),
    };
    const composed = await services.composeDeltas(first, second, options);
    for (const warning of composed.warnings) logger.warn(warning);
    return composed;
  },

  render: renderDeltaComposed,
};
