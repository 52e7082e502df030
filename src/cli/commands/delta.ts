/** `varve delta ACTION ...`: deltas between images. Each action has a file of its own in delta/, and a place in this list. */
import { actionGroup } from "./actions/group.ts";
import { applyAction } from "./delta/apply.ts";
import { composeAction } from "./delta/compose.ts";
import { createAction } from "./delta/create.ts";
import { inspectAction } from "./delta/inspect.ts";

export const deltaCommand = actionGroup("delta", "images, as the action takes them", [
  createAction,
  inspectAction,
  composeAction,
  applyAction,
]);
