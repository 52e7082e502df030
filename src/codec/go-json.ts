/** Text in JSON, byte for byte as Go's encoding/json writes it. */

/** What Go escapes beyond JSON's own rules: HTML's characters, and the two line ends that JavaScript once minded. */
const GO_ESCAPED = /[<>&\u2028\u2029]/g;

/** @param text well-formed */
export function goString(text: string): string {
  const json = JSON.stringify(text);
  return json.replace(GO_ESCAPED, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
