/**
 * What a registry says about its refusal, distribution-spec "Error Codes". The body may be anything, so it is bounded,
 * stripped of what could steer a terminal, and never shows the secret that was sent.
 */
const LONGEST = 300;

// C0, DEL, C1, and the characters that reorder or hide text.
// oxlint-disable-next-line no-control-regex -- finding control characters is what it is for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+/g;

/** One printable line of at most 300 characters, without any of `secrets`. */
export function sanitize(text: string, secrets: readonly string[] = []): string {
  let line = text;
  for (const secret of secrets) if (secret.length > 3) line = line.replaceAll(secret, "[secret]");
  line = line.replaceAll(UNPRINTABLE, " ").trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}...` : line;
}

/** The registry's own words from an error body, or undefined when there are none worth showing. */
export function errorText(body: string, secrets: readonly string[] = []): string | undefined {
  const text = fromJson(body) ?? (/^\s*</.test(body) || body.startsWith("\ufeff") ? fromXml(body) : body);
  const line = sanitize(text, secrets);
  return line === "" ? undefined : line;
}

function fromJson(body: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const { errors, details, message, error, error_description: description } = parsed as Record<string, unknown>;
  // Google's and Azure's own services: one error as an object.
  if (typeof error === "object" && error !== null) return oneError(error);
  if (Array.isArray(errors)) return errors.slice(0, 5).map(oneError).filter(Boolean).join("; ");
  // OAuth 2 (RFC 6749 §5.2) and what token services of registries send.
  return [error, description, message, details].filter((part) => typeof part === "string").join(": ");
}

/** What object stores send (Azure Blob, S3): `<Error><Code/><Message/></Error>`. Of web pages nothing is worth showing. */
function fromXml(body: string): string {
  if (!/<Error[\s>]/.test(body)) return "";
  const code = /<Code>([^<]{1,100})<\/Code>/.exec(body)?.[1];
  // Azure's lines after the first are its own reference numbers.
  const message = /<Message>\s*([^<\r\n]{1,300})/.exec(body)?.[1];
  return [code, message].filter((part) => part !== undefined).join(": ");
}

function oneError(entry: unknown): string {
  if (typeof entry !== "object" || entry === null) return "";
  const { code, message } = entry as Record<string, unknown>;
  return [code, message].filter((part) => typeof part === "string" && part !== "").join(": ");
}
