/** `Link: <...>; rel="next"`, RFC 8288, as registries use it for pages (distribution-spec "Listing Tags"). */

/** The target of the link with relation `next`, as written. */
export function nextLink(value: string | readonly string[] | undefined): string | undefined {
  const text = typeof value === "string" ? value : (value ?? []).join(", ");
  if (text.length > 16 * 1024) return undefined;
  for (const [, target, parameters = ""] of text.matchAll(/<([^>]*)>([^<]*)/g)) {
    if (/;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=[\s;,]|$))/i.test(parameters)) return target;
  }
  return undefined;
}
