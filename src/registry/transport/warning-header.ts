/**
 * `Warning: 299 - "text"`, by which a registry tells its users something (distribution-spec "Warnings", RFC 7234 §5.5). Other
 * codes, agents and dates are caches talking among themselves.
 */
const LONGEST = 16 * 1024;
const WARNING = /(?:^|,)[ \t]*299[ \t]+-[ \t]+"((?:[^"\\]|\\.)*)"[ \t]*(?=,|$)/g;

/** The texts of all warnings in the header, in order and as they came: they may hold anything. */
export function parseWarnings(value: string | readonly string[] | undefined): string[] {
  const text = typeof value === "string" ? value : (value ?? []).join(",");
  if (text.length > LONGEST) return [];
  return [...text.matchAll(WARNING)].map(([, quoted = ""]) => decode(quoted.replaceAll(/\\(.)/g, "$1")));
}

/** Headers are read as Latin-1, and registries write UTF-8. */
function decode(text: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(text, "latin1"));
  } catch {
    return text;
  }
}
