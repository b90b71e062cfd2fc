/**
 * A place where a wallet answers: loopback HTTP in a browser, a Unix socket for a program.
 *
 * Whoever answers there is a stranger until it has proved the key this app knows.
 */

/** One request. `form` and `json` exclude each other; neither means there is no body. */
export interface Ask {
  method: "GET" | "POST";
  path: string;
  headers?: Record<string, string>;
  form?: Record<string, string>;
  json?: unknown;
  signal?: AbortSignal | undefined;
}

export interface Reply {
  status: number;
  /** The members of the JSON object that came back; empty if it was something else. */
  body: Record<string, unknown>;
}

/** A WebSocket, as little of it as is needed. */
export interface Line {
  send(text: string): void;
  close(): void;
}

export interface LineEvents {
  text(text: string): void;
  closed(): void;
}

export interface Door {
  /** `http://127.0.0.1:PORT`: the issuer of ID tokens, and the base of what a DPoP proof is for. */
  readonly issuer: string;
  /** Rejects with any error if nobody answers. */
  send(ask: Ask): Promise<Reply>;
  /** Opens a WebSocket, with a token in its subprotocol if one is given; rejects if that fails. */
  listen(path: string, events: LineEvents, token?: string): Promise<Line>;
}

/** The subprotocol that carries a token, as DXOS's clients send it: plain base64 despite its name. */
export function protocolsOf(token: string | undefined): string[] {
  if (token === undefined) return [];
  return [`base64url.bearer.authorization.dxos.org.${btoa(token).replace(/=*$/, "")}`];
}

/** The parts of a request body that every transport writes alike. */
export function bodyOf(ask: Ask): { type: string; text: string } | undefined {
  if (ask.form) {
    return { type: "application/x-www-form-urlencoded", text: new URLSearchParams(ask.form).toString() };
  }
  return ask.json === undefined ? undefined : { type: "application/json", text: JSON.stringify(ask.json) };
}

/** Reads the JSON object of an answer. */
export function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
