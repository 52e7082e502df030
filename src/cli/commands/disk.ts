/** `varve disk ACTION ...`: disk images of virtual machines. Each action has a file of its own in disk/, and a place in this list. */
import { actionGroup } from "./actions/group.ts";
import { cloneAction } from "./disk/clone.ts";
import { copyAction } from "./disk/copy.ts";
import { exportAction } from "./disk/export.ts";
import { importAction } from "./disk/import.ts";
import { infoAction } from "./disk/info.ts";

export const diskCommand = actionGroup("disk", "images of the store and files, as the action takes them", [
  importAction,
  exportAction,
  cloneAction,
  infoAction,
  copyAction,
]);
