/** A refusal as distribution-spec "Error Codes" writes it: status, code, message; thrown by handlers, sent by the server. */
export class RegistryError extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "RegistryError";
    this.status = status;
    this.code = code;
    this.headers = headers;
  }

  get body(): string {
    return JSON.stringify({ errors: [{ code: this.code, message: this.message, detail: null }] });
  }
}
