/** A wallet on loopback, as a page reaches it. */

import { bodyOf, objectOf, protocolsOf, type Ask, type Door, type Line, type LineEvents, type Reply } from "../core/door.js";

/** A prompt may wait for the user, but every single answer comes at once. */
const ANSWER_WITHIN = 15_000;

export function pageDoor(issuer: string): Door {
  return {
    issuer,
    async send(ask: Ask): Promise<Reply> {
      const body = bodyOf(ask);
      const late = AbortSignal.timeout(ANSWER_WITHIN);
      const response = await fetch(issuer + ask.path, {
        method: ask.method,
        headers: { ...ask.headers, ...(body ? { "Content-Type": body.type } : {}) },
        body: body?.text ?? null,
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
        referrerPolicy: "no-referrer",
        signal: ask.signal ? AbortSignal.any([ask.signal, late]) : late,
      });
      return { status: response.status, body: objectOf(await response.text()) };
    },
    listen(path: string, events: LineEvents, token?: string): Promise<Line> {
      return new Promise((resolve, reject) => {
        const socket = new WebSocket(issuer.replace(/^http/, "ws") + path, protocolsOf(token));
        socket.onopen = () => {
          resolve({
            send: (text) => { socket.send(text); },
            close: () => { socket.close(); },
          });
        };
        socket.onmessage = (event: MessageEvent<unknown>) => {
          if (typeof event.data === "string") events.text(event.data);
        };
        socket.onclose = () => {
          events.closed();
          reject(new Error("the line was closed"));
        };
      });
    },
  };
}
