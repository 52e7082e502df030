/** Which varve this is, as its package says. */
import { readFile } from "node:fs/promises";

export async function programVersion(): Promise<string> {
  // Two levels up both from src/sys and from dist/sys.
  const manifest = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return manifest.version;
}
