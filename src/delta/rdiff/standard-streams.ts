/** The process's own standard streams, as `varve rdiff` reads and writes them. */
import process from "node:process";
import type { StandardStreams } from "./options.ts";

export function processStreams(): StandardStreams {
  return {
    get input() {
      return process.stdin as AsyncIterable<Uint8Array>;
    },
    write: (piece) =>
      new Promise((resolve, reject) => {
        // Without a listener a reader that went away would end the process; the write tells it too.
        const ignore = (): void => undefined;
        process.stdout.once("error", ignore);
        // What is given is lent, and a pipe may keep it until its reader takes it.
        process.stdout.write(Buffer.from(piece), (error) => {
          process.stdout.off("error", ignore);
          if (error) reject(error);
          else resolve();
        });
      }),
  };
}
