// The line that calls and watches go over, while the wallet behind it ends and begins again.

import assert from "node:assert/strict";
import { test } from "node:test";

import { DataLine } from "../dist/core/data.js";

/** Lines to a wallet that a test plays: what is said on each, and how to answer. */
function wallet() {
  const lines = [];
  const waiting = [];
  const open = (events) => {
    const said = [];
    const line = { said, events, answer: (frame) => { events.text(JSON.stringify(frame)); } };
    lines.push(line);
    waiting.shift()?.(line);
    return Promise.resolve({
      send: (text) => { said.push(JSON.parse(text)); },
      close: () => { events.closed(); },
    });
  };
  const next = () => new Promise((resolve) => { waiting.push(resolve); });
  return { open, lines, next };
}

const settled = () => new Promise((resolve) => { setImmediate(resolve); });

for (const code of ["wallet.closed", "wallet.locked"]) {
  test(`a watch that a wallet answers with ${code} goes on when it is back`, async () => {
    const { open, lines, next } = wallet();
    const line = new DataLine(open);
    const heard = [];
    line.watch("items.watch", {}, (event) => { heard.push(event); }, (error) => { heard.push(error.code); });
    await settled();
    const [watch] = lines[0].said;
    lines[0].answer({ id: watch.id, event: "before" });
    const again = next();
    lines[0].answer({ id: watch.id, error: { code, message: "gone" } });
    const second = await again;
    await settled();
    assert.equal(second.said[0].method, "items.watch");
    second.answer({ id: second.said[0].id, event: "after" });
    assert.deepEqual(heard, ["before", "after"]);
    line.close();
  });
}

test("a watch that is refused is over, and the line stays", async () => {
  const { open, lines } = wallet();
  const line = new DataLine(open);
  const heard = [];
  line.watch("items.watch", {}, (event) => { heard.push(event); }, (error) => { heard.push(error.code); });
  await settled();
  lines[0].answer({ id: lines[0].said[0].id, error: { code: "wallet.forbidden", message: "no" } });
  const asked = line.call("items.get");
  await settled();
  lines[0].answer({ id: lines[0].said[1].id, result: "item" });
  assert.deepEqual([heard, await asked, lines.length], [["forbidden"], "item", 1]);
  line.close();
});

test("a call that a wallet does not get to before it ends may or may not be done", async () => {
  const { open, lines } = wallet();
  const line = new DataLine(open);
  const asked = line.call("items.put");
  await settled();
  lines[0].answer({ id: lines[0].said[0].id, error: { code: "wallet.closed", message: "gone" } });
  await assert.rejects(asked, { code: "unreachable" });
  line.close();
});
