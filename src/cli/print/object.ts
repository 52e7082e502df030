/** A plain object for people: one field a line, nested ones indented, lists with dashes. */
import { sanitize, sanitizeLines } from "./sanitize.ts";

/** Deeper values are shown as JSON. */
const MAX_DEPTH = 12;

/** Ends with a newline. */
export function formatObject(value: object): string {
  return fields(value, 0)
    .map((line) => `${line}\n`)
    .join("");
}

function fields(value: object, depth: number): string[] {
  return Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .flatMap(([name, field]) => entry(`${sanitize(name)}:`, field, depth));
}

function entry(label: string, value: unknown, depth: number): string[] {
  const pad = "  ".repeat(depth);
  if (!isNested(value)) return [`${pad}${label} ${scalar(value)}`];
  if (depth >= MAX_DEPTH) return [`${pad}${label} ${sanitizeLines(JSON.stringify(value))}`];
  const items = Array.isArray(value) ? value.flatMap((item) => listItem(item, depth + 1)) : fields(value, depth + 1);
  return items.length === 0 ? [`${pad}${label} ${Array.isArray(value) ? "[]" : "{}"}`] : [`${pad}${label}`, ...items];
}

/** The first field of an object in a list stands on the dash's line. */
function listItem(item: unknown, depth: number): string[] {
  const pad = "  ".repeat(depth);
  if (!isNested(item)) return [`${pad}- ${scalar(item)}`];
  if (Array.isArray(item)) return [`${pad}- ${sanitizeLines(JSON.stringify(item))}`];
  const [first, ...rest] = fields(item, depth + 1);
  return first === undefined ? [`${pad}- {}`] : [`${pad}- ${first.trimStart()}`, ...rest];
}

function isNested(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function scalar(value: unknown): string {
  return sanitize(value === "" ? '""' : String(value));
}
