/** What something takes of the disk, and when it was last written. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** Of a file, or a folder with all in it; what went away meanwhile counts for nothing. */
export async function measure(path: string): Promise<{ bytes: number; touchedAt: number }> {
  const own = await stat(path).catch(() => undefined);
  const entries = own?.isDirectory() === true ? await readdir(path, { recursive: true }).catch(() => []) : [];
  let [bytes, touchedAt] = [(own?.blocks ?? 0) * 512, own?.mtimeMs ?? 0];
  for (const entry of entries) {
    const found = await stat(join(path, entry)).catch(() => undefined);
    bytes += (found?.blocks ?? 0) * 512;
    touchedAt = Math.max(touchedAt, found?.mtimeMs ?? 0);
  }
  return { bytes, touchedAt };
}
