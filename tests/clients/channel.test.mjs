// A browser's RTCPeerConnection and the direct path of a device understand each other, whoever offers.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";

import { openBrowser } from "./browser.mjs";

/** The device's end: an example of the same build. */
function program() {
  const path = join(dirname(process.env.HALO_BIN), "examples", "direct_echo");
  if (!existsSync(path)) throw new Error(`${path} is missing: cargo build --workspace --all-targets`);
  return path;
}

/** Frames that go each way. */
const FRAMES = 300;
/** Bytes of one: about as long as a frame of the channel can be. */
const LENGTH = 16_000;

/** Runs in the page: one connection, whose words go to the device and come from there. */
async function connect({ offers, frames, length }) {
  const peer = new RTCPeerConnection();
  const gathered = new Promise((resolve) => {
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState === "complete") resolve();
    });
  });
  // Vanilla ICE at this end: descriptions have all candidates in them.
  const described = async (description) => {
    await peer.setLocalDescription(description);
    await gathered;
    return peer.localDescription.sdp;
  };
  let early = [];
  const remote = async (type, sdp) => {
    await peer.setRemoteDescription({ type, sdp });
    for (const candidate of early) await peer.addIceCandidate(candidate);
    early = undefined;
  };
  globalThis.hear = async (kind, text) => {
    if (kind === "candidate") {
      const candidate = { candidate: text, sdpMid: "0", sdpMLineIndex: 0 };
      if (early) early.push(candidate);
      else await peer.addIceCandidate(candidate);
    } else {
      await remote(kind, text);
      if (kind === "offer") await globalThis.say("answer", await described(await peer.createAnswer()));
    }
  };
  const theirs = new Promise((resolve) => peer.addEventListener("datachannel", ({ channel }) => resolve(channel)));
  let channel;
  if (offers) {
    channel = peer.createDataChannel("halo");
    await globalThis.say("ready", "");
    await globalThis.say("offer", await described(await peer.createOffer()));
  } else {
    await globalThis.say("ready", "");
    channel = await theirs;
  }
  channel.binaryType = "arraybuffer";
  const back = new Promise((resolve, reject) => {
    let next = 0;
    channel.addEventListener("close", () => reject(new Error(`closed after ${next} frames`)));
    channel.addEventListener("message", ({ data }) => {
      const bytes = new Uint8Array(data);
      const number = new DataView(data).getUint32(0);
      if (number !== next || bytes.length !== length || bytes[length - 1] !== number % 251) {
        reject(new Error(`frame ${number} of ${bytes.length} bytes instead of ${next}`));
      }
      next += 1;
      if (next === frames) resolve(next);
    });
  });
  if (channel.readyState !== "open") await new Promise((resolve) => channel.addEventListener("open", resolve));
  for (let number = 0; number < frames; number += 1) {
    const bytes = new Uint8Array(length).fill(number % 251);
    new DataView(bytes.buffer).setUint32(0, number);
    channel.send(bytes);
  }
  const heard = await back;
  const { label, ordered } = channel;
  peer.close();
  return { heard, label, ordered };
}

describe("a browser's RTCPeerConnection", () => {
  let browser;
  before(async () => {
    browser = await openBrowser([
      // Addresses as they are, and those of loopback too: there is nobody to resolve `.local` names here.
      "--disable-features=WebRtcHideLocalIpsWithMdns",
      "--allow-loopback-in-peer-connection",
    ]);
  });
  after(() => browser?.close());

  async function meet(offers) {
    const device = spawn(program(), [offers ? "answers" : "offers"], { stdio: ["pipe", "pipe", "inherit"] });
    const page = await (await browser.newContext()).newPage();
    let open = false;
    const listen = () => {
      createInterface({ input: device.stdout }).on("line", (line) => {
        const [said, coded] = line.split(" ");
        open ||= said === "open";
        if (!coded) return;
        const words = Buffer.from(coded, "base64").toString();
        // A page that is done hears no more.
        page.evaluate((heard) => globalThis.hear(...heard), [said, words]).catch(() => {});
      });
    };
    await page.exposeFunction("say", (kind, text) => {
      // What the device said before waits in its pipe.
      if (kind === "ready") return listen();
      device.stdin.write(`${kind} ${Buffer.from(text).toString("base64")}\n`);
    });
    try {
      return { ...(await page.evaluate(connect, { offers, frames: FRAMES, length: LENGTH })), open };
    } finally {
      device.stdin.end();
      await page.context().close();
    }
  }

  it("offers a data channel, and a device takes it", async () => {
    assert.deepEqual(await meet(true), { heard: FRAMES, label: "halo", ordered: true, open: true });
  });

  it("takes the data channel that a device offers", async () => {
    assert.deepEqual(await meet(false), { heard: FRAMES, label: "halo", ordered: true, open: true });
  });
});
