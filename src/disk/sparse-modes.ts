/** What becomes of zeros in a copy: `auto` keeps the source's holes, `always` makes holes of its zeros as well, `never` gives every byte its space. */
export const SPARSE_MODES = ["auto", "always", "never"] as const;
export type SparseMode = (typeof SPARSE_MODES)[number];
