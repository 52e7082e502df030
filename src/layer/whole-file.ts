/** A blob of the store as the threads take files: there is nothing to wait for. */
import type { FrontFile } from "./threads.ts";

export function wholeFile({ path, size }: { readonly path: string; readonly size: number }): FrontFile {
  return { path, size, front: size, waitFront: () => Promise.resolve() };
}
