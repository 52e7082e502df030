/** `varve rdiff patch BASIS DELTA NEW` */
import { FORCE_FLAG, type RdiffAction } from "./action.ts";
import { parsePlace } from "./parse-place.ts";

export const patchAction: RdiffAction = {
  name: "patch",
  usage: "patch BASIS DELTA NEW [--force]",
  words: 3,
  flags: [FORCE_FLAG],

  async run({ args, flags, services }) {
    const [basis, delta] = [parsePlace("BASIS", args[0]), parsePlace("DELTA", args[1])];
    return services.rdiffPatch(basis, delta, parsePlace("NEW", args[2]), { force: flags["force"] === true });
  },
};
