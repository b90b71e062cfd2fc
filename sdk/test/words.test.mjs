import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { LIST } from "../dist/core/words.js";

test("the list of words is the wallet's", async () => {
  const theirs = await readFile(new URL("../../crates/protocol/words.txt", import.meta.url), "utf8");
  assert.deepEqual(LIST, theirs.trim().split("\n"));
});
