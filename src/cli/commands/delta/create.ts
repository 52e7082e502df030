/** `varve delta create BASE TARGET` */
import { DELTA_FORMATS, type CreateDeltaOptions, type DeltaCreated } from "../../../transfer/deltas/create-types.ts";
import { parseChoice } from "../../parse-values.ts";
import { renderDeltaCreated } from "../../print/delta-create.ts";
import type { Action } from "../actions/action.ts";

export const createAction: Action<DeltaCreated> = {
  name: "create",
  usage: "create BASE TARGET [-t NAME:TAG] [--format librsync|tar-diff] [--push REF] [-j N]",
  words: [2, 2],
  completes: () => "image",
  flags: [
    { flags: "-t, --tag <name>", summary: "what is made is called in the store", completes: "image" },
    {
      flags: "--format <kind>",
      summary: "librsync: an image that gives the target, for balena's engine too (default); tar-diff: for plain pulls",
      choices: DELTA_FORMATS,
    },
    { flags: "--push <ref>", summary: "where the delta goes in a registry; kept in the store only with --tag then" },
  ],
  notes: [
    "create compares two images of the store. A delta image is pulled like any other, and gives the target to who holds the base. In the repository of the " +
      "target, a plain pull of the target finds the deltas by itself. -j says how many threads are at work at the same time, by default one per core and four at most.",
  ],
  examples: [
    "varve delta create app:v1 app:v2 -t app:v1-v2",
    "varve delta create app:v1 app:v2 --push registry.example/app:v1-v2",
    "varve delta create app:v1 app:v2 --format tar-diff --push registry.example/app",
  ],

  async run({ args, flags, settings, services, logger }) {
    const [base = "", target = ""] = args;
    const { tag, format, push } = flags;
    const options: CreateDeltaOptions = {
      ...(typeof tag === "string" && { tag }),
      ...(typeof format === "string" && { format: parseChoice("--format", format, DELTA_FORMATS) }),
      ...(typeof push === "string" && { push: push.replace(/^docker:\/\//, "") }),
      ...(settings.concurrency !== undefined && { jobs: settings.concurrency }),
      ...(settings.platform && { platform: settings.platform }),
    };
    const created = await services.createDelta(base, target, options);
    for (const warning of created.warnings) logger.warn(warning);
    if (!created.helps) logger.warn(`no layer gains by it: a plain pull of ${target} takes no more`);
    return created;
  },

  render: renderDeltaCreated,
};
