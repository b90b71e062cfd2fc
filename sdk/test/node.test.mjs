import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, mkdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { defaultProfile, discover, runtimeDir } from "../dist/node/discover.js";
import { programDoor } from "../dist/node/door.js";
import { fileStorage } from "../dist/node/index.js";
import { makeKeys } from "../dist/core/instance.js";

let dir;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "halo-sdk-"));
});
after(() => rm(dir, { recursive: true }));

test("what a program remembers is a file for its user only, and the key in it still signs", async () => {
  const path = join(dir, "remembered.json");
  const storage = fileStorage(path);
  assert.equal(await storage.load(), undefined);
  const keys = await makeKeys(true);
  await storage.save({ version: 1, keys, wallet: "x" });
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const { keys: again, wallet } = await fileStorage(path).load();
  assert.equal(wallet, "x");
  const text = new TextEncoder().encode("text");
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const signature = await crypto.subtle.sign(algorithm, again.privateKey, text);
  assert.ok(await crypto.subtle.verify(algorithm, keys.publicKey, signature, text));
  await storage.save(undefined);
  assert.equal(await storage.load(), undefined);
});

test("the discovery file is found where the wallet puts it", async () => {
  const env = { HALO_PROFILE: "/some/profile", XDG_RUNTIME_DIR: dir };
  assert.equal(defaultProfile(env), "/some/profile");
  const run = await runtimeDir(defaultProfile(env), env);
  assert.equal(run, join(dir, "halo", createHash("sha256").update("/some/profile").digest("hex").slice(0, 8)));
  assert.equal(await runtimeDir("/some/profile", { XDG_RUNTIME_DIR: "/nowhere" }), "/some/profile/run");
  await assert.rejects(discover(run), { code: "not_installed" });
  await mkdir(run, { recursive: true });
  await writeFile(join(run, "broker.json"), JSON.stringify({ url: "http://127.0.0.1:47110", socket: "/s" }));
  assert.deepEqual(await discover(run), { url: "http://127.0.0.1:47110", socket: "/s" });
  await writeFile(join(run, "broker.json"), JSON.stringify({ url: "https://evil.example" }));
  await assert.rejects(discover(run), { code: "protocol" });
});

/** A server on a Unix socket that upgrades and then writes `frames`. */
async function upgrading(name, frames, received = () => undefined) {
  const server = createServer((request, response) => response.end(JSON.stringify({ host: request.headers.host })));
  server.on("upgrade", (request, stream) => {
    const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
    stream.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept.digest("base64")}\r\n\r\n`,
    );
    stream.on("data", received).on("end", () => stream.destroy()).on("error", () => stream.destroy());
    for (const frame of frames) stream.write(frame);
  });
  const socket = join(dir, name);
  await new Promise((resolve) => server.listen(socket, resolve));
  return { server, door: programDoor({ url: "http://127.0.0.1:47110", socket }) };
}

const text = (words) => Buffer.concat([Buffer.from([0x81, words.length]), Buffer.from(words)]);

test("a program reads a line that comes in pieces, and what it says is masked", async () => {
  let heard;
  const said = new Promise((resolve) => (heard = resolve));
  const long = Buffer.alloc(300, "x");
  const frames = [text("one").subarray(0, 2), text("one").subarray(2), Buffer.concat([Buffer.from([0x81, 126, 1, 44]), long])];
  const { server, door } = await upgrading("line.sock", frames, heard);
  const texts = [];
  let enough;
  const both = new Promise((resolve) => (enough = resolve));
  const line = await door.listen("/halo", { text: (words) => texts.push(words) === 2 && enough(), closed() {} });
  await both;
  assert.deepEqual(texts, ["one", long.toString()]);
  line.send("hello");
  const frame = await said;
  assert.equal(frame[0], 0x81);
  assert.equal(frame[1], 0x80 | 5);
  const mask = frame.subarray(2, 6);
  assert.equal(Buffer.from(frame.subarray(6).map((byte, at) => byte ^ mask[at % 4])).toString(), "hello");
  assert.deepEqual((await door.send({ method: "GET", path: "/" })).body, { host: "127.0.0.1:47110" });
  server.closeAllConnections();
  server.close();
  line.close();
});

// threat: 21
for (const [fault, frame] of [
  ["a masked frame", Buffer.from([0x81, 0x80, 0, 0, 0, 0])],
  ["a reserved bit", Buffer.from([0xc1, 0])],
  ["a frame of 2^63 bytes", Buffer.from([0x81, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
]) {
  test(`a line with ${fault} is closed`, async () => {
    const { server, door } = await upgrading(`${fault.replaceAll(/\W/g, "")}.sock`, [frame]);
    await new Promise((resolve) => void door.listen("/halo", { text() {}, closed: resolve }));
    server.close();
  });
}
