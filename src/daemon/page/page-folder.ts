/** Where the page's files lie: beside the bundle of the package (dist/daemon/page and dist/web), or as a checkout has built them. */
import { join } from "node:path";

export const PAGE_FOLDER = import.meta.filename.endsWith(".ts")
  ? join(import.meta.dirname, "../../../web/dist")
  : join(import.meta.dirname, "../../web");
