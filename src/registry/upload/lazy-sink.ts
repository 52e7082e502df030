/** A repository to be written to that is opened when it is used first: most clients only read. */
import type { BlobSink } from "./blob-sink.ts";

export function lazySink(open: () => Promise<BlobSink>): BlobSink {
  let sink: Promise<BlobSink> | undefined;
  const opened = (): Promise<BlobSink> => (sink ??= open());
  return {
    has: async (...asked) => (await opened()).has(...asked),
    mount: async (...asked) => (await opened()).mount(...asked),
    putBlob: async (...asked) => (await opened()).putBlob(...asked),
    resolve: async (...asked) => (await opened()).resolve(...asked),
    referrers: async (...asked) => (await opened()).referrers(...asked),
    putManifest: async (...asked) => (await opened()).putManifest(...asked),
    changeIndex: async (...asked) => (await opened()).changeIndex(...asked),
  };
}
