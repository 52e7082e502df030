/** `/v1/disks`: all paths are below the configuration's `diskDirectory`. */
import { exportDisk, exportMachine } from "../../../transfer/disks/export.ts";
import { importDisk } from "../../../transfer/disks/import-disk.ts";
import { imageInformation } from "../../../transfer/disks/info.ts";
import { listDisks } from "../../../transfer/disks/list.ts";
import { VarveError } from "../../../errors/varve-error.ts";
import { parseReference } from "../../../oci/reference.ts";
import type { Handlers } from "../call.ts";
import { openDiskPlace } from "../disk-place.ts";
import { heldWord } from "../held-word.ts";
import { limitOf, pageOf } from "../pages.ts";

export const diskHandlers: Handlers<"listDisks" | "getDisk" | "importDisk" | "exportDisk"> = {
  async listDisks({ query, context }) {
    const found = await listDisks(await context(), { ...query, limit: limitOf(query) + 1 });
    const { rows, next } = pageOf(found, query, ({ name }) => name);
    return { disks: rows, next };
  },
  getDisk: async ({ params, context }) => imageInformation(await context(), heldWord(params.image)),
  async importDisk({ body: { path, image, ...options }, parts, context }) {
    parseReference(image);
    if (options.base !== undefined) heldWord(options.base);
    await using place = await openDiskPlace(parts.daemon.config().diskDirectory, path, "read");
    return place.shown(await importDisk(await context(), place.path, image, options).catch(place.rethrow));
  },
  async exportDisk({ body: { image, path, raw = false, disk, force = false, ...options }, parts, context }) {
    heldWord(image);
    if (!raw && disk !== undefined) throw new VarveError("USAGE", "disk goes with raw", { hint: 'add "raw": true' });
    await using place = await openDiskPlace(parts.daemon.config().diskDirectory, path, "write");
    const work = await context();
    if (!raw) {
      return place.shown(await exportMachine(work, image, place.path, { ...options, force }).catch(place.rethrow));
    }
    if (!force) await place.mustBeFree();
    const given = disk === undefined ? options : { ...options, disk };
    return place.shown(await exportDisk(work, image, place.path, given).catch(place.rethrow));
  },
};
