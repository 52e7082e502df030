/** Reads a layer's file while it still arrives. */
import { open } from "node:fs/promises";
import { followFront } from "../recipe/follow-front.ts";
import { releaseBuffer } from "../sys/release-buffer.ts";
import type { FrontFile } from "./threads.ts";

/** A file's bytes in order, as far as they are there, waiting for the rest. A chunk is lent until the next is asked for. */
export async function* readFrontFile(file: FrontFile, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const handle = await open(file.path, "r");
  try {
    const chunks = followFront(
      {
        size: file.size,
        get front() {
          return file.front;
        },
        waitFront: (position, signal) => file.waitFront(position, signal),
        async read(position, length) {
          const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafeSlow(length), 0, length, position);
          return buffer.subarray(0, bytesRead);
        },
      },
      { signal },
    );
    for await (const chunk of chunks) {
      yield chunk;
      releaseBuffer(chunk);
    }
  } finally {
    await handle.close();
  }
}
