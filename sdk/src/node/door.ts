/** A wallet as a program reaches it: over its Unix socket, or over loopback where there is none. */

import { request, type RequestOptions } from "node:http";

import { bodyOf, objectOf, type Ask, type Door, type Reply } from "../core/door.js";
import type { Discovered } from "./discover.js";
import { openLine } from "./websocket.js";

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
    listen: (path, events) => openLine({ ...where, path, headers: { Host: host } }, events),
  };
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
