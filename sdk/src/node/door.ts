/** A wallet as a program reaches it: over its Unix socket, or over loopback where there is none. */

import { request, type RequestOptions } from "node:http";
import { connect } from "node:net";

import { WebSocket } from "ws";

import { bodyOf, objectOf, protocolsOf, type Ask, type Door, type Line, type LineEvents, type Reply } from "../core/door.js";
import type { Discovered } from "./discover.js";

const ANSWER_WITHIN = 15_000;
/** Larger than any answer of the wallet: a picture has at most 8 KiB. */
const LONGEST = 1024 * 1024;

export function programDoor(discovered: Discovered): Door {
  const { url, socket } = discovered;
  const { hostname, port, host } = new URL(url);
  const where: RequestOptions = socket === undefined ? { host: hostname, port } : { socketPath: socket };
  return {
    issuer: url,
    send: (ask) => send({ ...where, headers: { Host: host } }, ask),
    listen: (path, events, token) => listen(where, host, path, events, token),
  };
}

function listen(where: RequestOptions, host: string, path: string, events: LineEvents, token?: string): Promise<Line> {
  return new Promise((resolve, reject) => {
    // Over the Unix socket the address is only a name; the `Host` of the wallet stands in the header.
    const { socketPath } = where;
    const options = {
      headers: { Host: host },
      perMessageDeflate: false,
      ...(socketPath ? { createConnection: () => connect(socketPath) } : {}),
    };
    const socket = new WebSocket(`ws://${host}${path}`, protocolsOf(token), options);
    socket.on("open", () => {
      resolve({ send: (text) => { socket.send(text); }, close: () => { socket.close(); } });
    });
    socket.on("message", (data: Buffer, binary: boolean) => {
      if (!binary) events.text(data.toString("utf8"));
    });
    socket.on("error", reject);
    socket.on("close", () => {
      events.closed();
      reject(new Error("the line was closed"));
    });
  });
}

function send(where: RequestOptions, ask: Ask): Promise<Reply> {
  const body = bodyOf(ask);
  const headers: Record<string, string> = { ...(where.headers as Record<string, string>), ...ask.headers };
  if (body) {
    headers["Content-Type"] = body.type;
    headers["Content-Length"] = String(Buffer.byteLength(body.text));
  }
  return new Promise((resolve, reject) => {
    const signal = ask.signal ? { signal: ask.signal } : {};
    const asking = request({ ...where, ...signal, method: ask.method, path: ask.path, headers, timeout: ANSWER_WITHIN });
    asking.on("error", reject);
    asking.on("timeout", () => asking.destroy(new Error("the wallet took too long")));
    asking.on("response", (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > LONGEST) asking.destroy(new Error("the answer is too long"));
        else chunks.push(chunk);
      });
      response.on("error", reject);
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, body: objectOf(Buffer.concat(chunks).toString("utf8")) });
      });
    });
    asking.end(body?.text);
  });
}
