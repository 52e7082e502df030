/**
 * Text from registries and images, made safe for a terminal: control characters (C0, DEL, C1) could move the cursor or
 * reprogram it, bidirectional overrides could make one name look like another. They are shown as escapes.
 */
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu;
const UNSAFE_IN_LINES = /(?![\t\n])[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu;

/** One line: newlines and tabs are escaped too. */
export function sanitize(text: string): string {
  return text.replace(UNSAFE, escape);
}

/** Text of several lines, whose newlines and tabs are its own. */
export function sanitizeLines(text: string): string {
  return text.replace(UNSAFE_IN_LINES, escape);
}

/**
 * JSON for a program or a person. The escapes are JSON's own and such characters occur in strings only, so that a reader
 * gets the same value.
 */
export function toJson(value: unknown, indent?: number): string {
  return sanitizeLines(JSON.stringify(value, undefined, indent));
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
