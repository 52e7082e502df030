/** What layers can be compressed as, and how hard. Apart from what does it, so that the command line can name it without loading it. */
export const LAYER_COMPRESSIONS = ["gzip", "zstd", "zstd:chunked"] as const;

export type LayerCompressionKind = (typeof LAYER_COMPRESSIONS)[number];

export interface Levels {
  readonly least: number;
  readonly most: number;
  readonly usual: number;
}

/** The usual ones are where another step costs more time than it saves bytes (bench "convert"). */
export const COMPRESSION_LEVELS: Readonly<Record<LayerCompressionKind, Levels>> = {
  gzip: { least: 1, most: 9, usual: 6 },
  zstd: { least: 1, most: 19, usual: 3 },
  "zstd:chunked": { least: 1, most: 19, usual: 3 },
};
