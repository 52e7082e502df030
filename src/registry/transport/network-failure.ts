/**
 * Which failures of the network pass and which do not: connections that break are worth another attempt, certificates
 * that do not hold are not.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { interrupted, RegistryFailure } from "./failure.ts";

const TIMEOUTS = new Set([
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "ETIMEDOUT",
  "ESOCKETTIMEDOUT",
]);

const BROKEN = new Set([
  "ECONNRESET",
  "ECONNREFUSED",
  "ECONNABORTED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EPIPE",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENETDOWN",
  "EADDRNOTAVAIL",
  "ENOTCONN",
  "ERR_STREAM_PREMATURE_CLOSE",
  "UND_ERR_SOCKET",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_PRX_CONN",
  "UND_ERR_INFO",
]);

/** OpenSSL's verdicts on a chain, as Node names them. */
const CERTIFICATE =
  /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY|DECRYPT|DECODE)|INVALID_CA|HOSTNAME_MISMATCH|PATH_LENGTH_EXCEEDED|ERR_TLS_/;

const NOT_TLS = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|UNKNOWN_PROTOCOL|HTTP_REQUEST|wrong version number/;

function codeOf(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code;
  return typeof code === "string" ? code : "";
}

/** True when the other side answered, but not in TLS; then plain HTTP may be what it speaks. */
export function speaksNoTls(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (NOT_TLS.test(codeOf(error)) || NOT_TLS.test(error.message)) return true;
  // Servers that just hang up on a ClientHello.
  return codeOf(error) === "ECONNRESET" && /before secure TLS connection/.test(error.message);
}

export function isRefused(error: unknown): boolean {
  return error instanceof Error && codeOf(error) === "ECONNREFUSED";
}

/** Whatever the HTTP client threw while `doing` something with `host`, as a coded error. */
export function networkFailure(error: unknown, host: string, doing: string, signal?: AbortSignal): VarveError {
  if (error instanceof VarveError) return error;
  if (signal?.aborted === true) return interrupted(signal, doing);
  if (!(error instanceof Error)) return new VarveError("INTERNAL", `${doing}: ${String(error)}`);
  const code = codeOf(error);
  const options = { cause: error, detail: { host, errno: code } };
  if (TIMEOUTS.has(code)) {
    return new RegistryFailure("REGISTRY_TIMEOUT", `${doing}: ${host} did not answer in time (${timeoutOf(code)})`, {
      ...options,
      retryable: true,
    });
  }
  if (speaksNoTls(error) && code !== "ECONNRESET") {
    return new RegistryFailure("REGISTRY_TLS", `${doing}: ${host} does not speak TLS`, {
      ...options,
      hint: "if this registry has plain HTTP only, use --plain-http",
    });
  }
  if (isTlsVerdict(code)) return tlsFailure(error, code, host, doing);
  if (BROKEN.has(code)) {
    return new RegistryFailure(
      "REGISTRY_UNREACHABLE",
      `${doing}: ${host}: ${plain(error, code)}${behind(error, host)}`,
      {
        ...options,
        retryable: true,
      },
    );
  }
  if (code === "UND_ERR_ABORTED" && error.message.includes("Proxy response")) return proxyFailure(error, host, doing);
  if (error.message.includes("Proxy Authentication Required")) return proxyFailure(error, host, doing);
  if (code === "UND_ERR_HEADERS_OVERFLOW" || code === "HPE_HEADER_OVERFLOW") {
    return new RegistryFailure("REGISTRY_PROTOCOL", `${doing}: ${host} sent too many or too long headers`, options);
  }
  if (code.startsWith("HPE_") || error.name === "HTTPParserError") {
    // A connection cut inside a chunk header looks like this too, so it is worth another attempt.
    const what = code === "" ? "something else than HTTP" : `a broken HTTP response (${code})`;
    return new RegistryFailure("REGISTRY_PROTOCOL", `${doing}: ${host} sent ${what}`, {
      ...options,
      retryable: true,
    });
  }
  if (code === "UND_ERR_DESTROYED" || code === "UND_ERR_CLOSED") {
    return new VarveError("INTERRUPTED", `${doing}: the client was closed`, options);
  }
  return new VarveError("INTERNAL", `${doing}: ${error.message}`, options);
}

function isTlsVerdict(code: string): boolean {
  return code === "EPROTO" || code.startsWith("ERR_SSL_") || code === "UND_ERR_PRX_TLS" || CERTIFICATE.test(code);
}

function tlsFailure(error: Error, code: string, host: string, doing: string): RegistryFailure {
  const detail = { host, errno: code };
  const message = `${doing}: the TLS connection to ${host} failed (${code === "EPROTO" ? "handshake refused" : code})`;
  // Of a handshake that fails while the request waits for it, Node's own client gives OpenSSL's reason in the message only.
  if (/CERTIFICATE.REQUIRED|HANDSHAKE.FAILURE|BAD.CERTIFICATE/i.test(`${code} ${error.message}`)) {
    const hint = "the registry may want a client certificate: --cert-file and --key-file";
    return new RegistryFailure("REGISTRY_TLS", message, { cause: error, detail, hint });
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    const hint = "check this machine's clock; if it is right, the registry's certificate must be renewed";
    return new RegistryFailure("REGISTRY_TLS", message, { cause: error, detail, hint });
  }
  return new RegistryFailure("REGISTRY_TLS", message, { cause: error, detail });
}

function proxyFailure(error: Error, host: string, doing: string): RegistryFailure {
  const status = /\((\d{3})\)/.exec(error.message)?.[1] ?? "an error";
  return new RegistryFailure("REGISTRY_UNREACHABLE", `${doing}: the proxy answered ${status} instead of ${host}`, {
    cause: error,
    detail: { host },
    hint: "check HTTP_PROXY, HTTPS_PROXY, NO_PROXY and the credentials in them",
    retryable: status.startsWith("5"),
  });
}

function timeoutOf(code: string): string {
  if (code === "UND_ERR_HEADERS_TIMEOUT") return "no response headers";
  return code === "UND_ERR_BODY_TIMEOUT" ? "the body stalled" : "no connection";
}

/** Who failed, where it is not plainly the host: one of its addresses, or a proxy on the way to it. */
function behind(error: Error, host: string): string {
  const { address, port, hostname } = error as { address?: unknown; port?: unknown; hostname?: unknown };
  const other = typeof address === "string" && typeof port === "number" ? `${address}:${port}` : hostname;
  return typeof other !== "string" || host.startsWith(other) ? "" : ` (${other})`;
}

function plain(error: Error, code: string): string {
  switch (code) {
    case "ECONNREFUSED":
      return "connection refused";
    case "ECONNRESET":
      // As Node's own client says it of a connection that was just closed, before the answer or in the midst of it.
      return /^(socket hang up|aborted)$/.test(error.message) ? "connection closed before the end" : "connection reset";
    case "ENOTFOUND":
      return "no such host";
    case "EAI_AGAIN":
      return "the name could not be looked up";
    case "UND_ERR_SOCKET":
    case "UND_ERR_RES_CONTENT_LENGTH_MISMATCH":
      return "connection closed before the end";
    default:
      return error.message === "" ? code : error.message;
  }
}
