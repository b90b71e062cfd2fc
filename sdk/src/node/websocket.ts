/**
 * A WebSocket over a stream (RFC 6455), client side, short texts only.
 *
 * Node has a client of its own from version 22 on, but none that speaks over a Unix socket.
 */

import { createHash, randomBytes } from "node:crypto";
import { request, type RequestOptions } from "node:http";
import type { Duplex } from "node:stream";

import type { Line, LineEvents } from "../core/door.js";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** The wallet's messages are a few dozen bytes. */
const LONGEST = 64 * 1024;

const TEXT = 0x1;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;

export function openLine(options: RequestOptions, events: LineEvents): Promise<Line> {
  const key = randomBytes(16).toString("base64");
  const headers = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": key,
    ...(options.headers as Record<string, string> | undefined),
  };
  return new Promise((resolve, reject) => {
    const asking = request({ ...options, method: "GET", headers });
    asking.on("error", reject);
    asking.on("response", (response) => {
      response.resume();
      reject(new Error(`the line was refused with status ${response.statusCode ?? 0}`));
    });
    asking.on("upgrade", (response, stream, head) => {
      const expected = createHash("sha1").update(key + GUID).digest("base64");
      if (response.headers["sec-websocket-accept"] !== expected) {
        stream.destroy();
        reject(new Error("that is not a WebSocket"));
        return;
      }
      const close = () => {
        if (!stream.destroyed) {
          stream.write(frame(CLOSE, Buffer.alloc(0)));
          stream.end();
        }
      };
      resolve({ send: (text) => { stream.write(frame(TEXT, Buffer.from(text))); }, close });
      if (head.length > 0) stream.unshift(head);
      follow(stream, events, close);
    });
    asking.end();
  });
}

function follow(stream: Duplex, events: LineEvents, close: () => void): void {
  let pending = Buffer.alloc(0);
  stream.on("data", (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      const read = readFrame(pending);
      if (read === undefined) return;
      if (read === "broken") {
        stream.destroy();
        return;
      }
      pending = pending.subarray(read.size);
      if (read.opcode === TEXT) events.text(read.body.toString("utf8"));
      else if (read.opcode === PING) stream.write(frame(PONG, read.body));
      else if (read.opcode === CLOSE) close();
    }
  });
  stream.on("error", () => stream.destroy());
  stream.on("end", () => stream.destroy());
  stream.on("close", () => { events.closed(); });
}

interface Frame {
  opcode: number;
  body: Buffer;
  size: number;
}

/** The first frame of what has arrived, `undefined` if it is not all there yet. A server neither masks nor splits. */
function readFrame(bytes: Buffer): Frame | "broken" | undefined {
  if (bytes.length < 2) return undefined;
  const first = bytes.readUInt8(0);
  const second = bytes.readUInt8(1);
  if ((first & 0xf0) !== 0x80 || (second & 0x80) !== 0) return "broken";
  let length = second & 0x7f;
  let at = 2;
  if (length === 127) return "broken";
  if (length === 126) {
    if (bytes.length < 4) return undefined;
    length = bytes.readUInt16BE(2);
    at = 4;
  }
  if (length > LONGEST) return "broken";
  if (bytes.length < at + length) return undefined;
  return { opcode: first & 0x0f, body: bytes.subarray(at, at + length), size: at + length };
}

/** A client masks what it sends (RFC 6455 §5.3). */
function frame(opcode: number, body: Buffer): Buffer {
  const mask = randomBytes(4);
  const masked = Buffer.from(body.map((byte, index) => byte ^ mask.readUInt8(index % 4)));
  const head = body.length < 126 ? Buffer.from([0x80 | opcode, 0x80 | body.length]) : Buffer.from([0x80 | opcode, 0x80 | 126, 0, 0]);
  if (body.length >= 126) head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, mask, masked]);
}
