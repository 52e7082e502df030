/** Long lists in parts: the order is that of the names, so that a list may change between two requests and nothing is told twice. */

export interface PageQuery {
  readonly limit?: number;
  readonly after?: string;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly next: string | null;
}

const DEFAULT_LIMIT = 100;

export function limitOf({ limit = DEFAULT_LIMIT }: PageQuery): number {
  return limit;
}

/** @param rows those after the query's `after`, of which one more than its limit shows that there are others */
export function pageOf<Row>(rows: readonly Row[], query: PageQuery, nameOf: (row: Row) => string): Page<Row> {
  const { after = "" } = query;
  const sorted = rows
    .filter((row) => nameOf(row) > after)
    .toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
    .slice(0, limitOf(query) + 1);
  const shown = sorted.slice(0, limitOf(query));
  const last = shown.at(-1);
  return { rows: shown, next: last !== undefined && sorted.length > shown.length ? nameOf(last) : null };
}
