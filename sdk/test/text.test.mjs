// Moving what was typed over what others wrote meanwhile.

import assert from "node:assert/strict";
import { test } from "node:test";

import { difference, moved, shifted } from "../dist/core/text.js";

const apply = (text, { position, remove, insert }) => text.slice(0, position) + insert + text.slice(position + remove);
const splice = (position, remove, insert) => ({ position, remove, insert });

/** Numbers that are the same each time. */
function numbers(seed) {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
}

test("a difference leads from one text to the other, and never between the halves of a letter", () => {
  const next = numbers(1);
  const letters = ["a", "b", "😀", "😁", "é"];
  const word = () => Array.from({ length: next(6) }, () => letters[next(5)]).join("");
  for (let round = 0; round < 3_000; round += 1) {
    const [from, to] = [word(), word()];
    const found = difference(from, to);
    assert.equal(apply(from, found), to);
    for (const part of [from.slice(0, found.position), from.slice(found.position, found.position + found.remove), found.insert]) {
      assert.equal(part.isWellFormed?.() ?? true, true, `${from} → ${to}`);
    }
  }
});

test("what was typed is moved over what others wrote, and takes nothing of theirs", () => {
  for (const [typed, over, wanted] of [
    [splice(5, 0, "X"), splice(0, 0, "ab"), "ab01234X56789"],
    [splice(0, 0, "X"), splice(5, 2, ""), "X01234789"],
    [splice(2, 0, "X"), splice(2, 0, "ab"), "01Xab23456789"],
    [splice(2, 4, "X"), splice(4, 4, "ab"), "01Xab89"],
    [splice(4, 4, "X"), splice(2, 4, "ab"), "01abX89"],
    [splice(4, 2, "X"), splice(2, 6, "ab"), "01abX89"],
    [splice(2, 6, "X"), splice(4, 2, "ab"), "01Xab6789"],
  ]) {
    const text = "0123456789";
    assert.equal(apply(apply(text, over), moved(typed, over)), wanted);
  }
  const next = numbers(2);
  for (let round = 0; round < 3_000; round += 1) {
    const some = (insert) => {
      const position = next(11);
      return splice(position, next(11 - position), insert);
    };
    const [typed, over] = [some("X"), some("ab")];
    const result = apply(apply("0123456789", over), moved(typed, over));
    assert.ok(result.includes("ab") && result.includes("X"), `${JSON.stringify(typed)} over ${JSON.stringify(over)}: ${result}`);
  }
});

test("a place keeps its letter over a splice, and goes to where the letter was taken from", () => {
  const next = numbers(3);
  for (let round = 0; round < 3_000; round += 1) {
    const text = "abcdefghij";
    const position = next(11);
    const over = splice(position, next(11 - position), "XY".slice(next(3)));
    const place = next(10);
    const after = apply(text, over);
    const kept = place < over.position || place >= over.position + over.remove;
    const there = shifted(place, over);
    if (place === over.position) assert.equal(there, place);
    else if (kept) assert.equal(after[there], text[place]);
    else assert.equal(there, over.position + over.insert.length);
  }
});
