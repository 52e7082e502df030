/** A request's path as logs show it: of its query only what is known to hold no secret, and all of it not longer than a line. */
const HARMLESS: ReadonlySet<string> = new Set(
  "after artifactType dest digest from kind last limit mount n ns src state t".split(" "),
);
const MAX_LENGTH = 500;

export function shownPath(url: string | undefined): string {
  const text = url ?? "";
  const start = text.indexOf("?");
  if (start === -1) return text.slice(0, MAX_LENGTH);
  const query = [...new URLSearchParams(text.slice(start, start + 4 * MAX_LENGTH))].map(([key, value]) =>
    HARMLESS.has(key) ? `${key}=${value}` : `${key}=...`,
  );
  return `${text.slice(0, start)}?${query.join("&")}`.slice(0, MAX_LENGTH);
}
