/** Counts as annotations and media types have them, in one form only: what two readers could take for two numbers is none. */

/** A decimal count, without sign, spaces or leading zeros. Undefined for anything else. */
export function parseCount(text: string | undefined): number | undefined {
  if (text === undefined || !/^(0|[1-9][0-9]{0,15})$/.test(text)) return undefined;
  const count = Number(text);
  return Number.isSafeInteger(count) ? count : undefined;
}
