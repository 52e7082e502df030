/** The choices of `--decompressor`. Apart from what carries them out, so that the command line can name them without loading it. */
export const DECOMPRESSORS = ["auto", "builtin", "igzip", "pigz", "rapidgzip"] as const;

export type Decompressor = (typeof DECOMPRESSORS)[number];
