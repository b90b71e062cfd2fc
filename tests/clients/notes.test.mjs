// The notes example in a real browser: the SDK's spaces, as a page uses them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser, openExample, startExample, wordsOn } from "./browser.mjs";
import { Wallet } from "./wallet.mjs";

let wallet;
let browser;
let notes;
before(async () => {
  [wallet, browser, notes] = await Promise.all([Wallet.start(), openBrowser(), startExample("notes", "serve.mjs")]);
});
after(() => Promise.all([wallet?.end(), browser?.close(), notes?.stop()]));

const view = (page, name) => page.locator(`#app[data-view="${name}"]`).waitFor();
const listed = (page, name) => page.getByRole("listitem").filter({ hasText: name }).waitFor();
const body = (page) => page.getByRole("textbox", { name: "Text of the note" });
const says = (page, text) => page.waitForFunction((text) => document.getElementById("body").value === text, text);

test("notes are written in two windows, searched, deleted, brought back, and there after a restart", async () => {
  const context = await browser.newContext();
  const page = await openExample(context, "notes", notes.origin, [wallet.port]);
  await view(page, "signed-out");
  await page.click("#sign-in");
  const request = await wallet.request();
  assert.deepEqual(request.scopes.toSorted(), ["halo:spaces", "halo:spaces:write", "openid", "profile"]);
  await wallet.approve(request, { words: await wordsOn(page) });
  await view(page, "notes");
  await page.getByText("No notes yet").waitFor();
  await page.getByRole("button", { name: "New note" }).click();
  await body(page).fill("Groceries\nmilk 😀");
  await listed(page, "Groceries");

  const second = await openExample(context, "notes", notes.origin, [wallet.port]);
  await view(second, "notes");
  await second.getByRole("button", { name: "Groceries" }).click();
  await says(second, "Groceries\nmilk 😀");
  await body(second).press("End");
  await body(second).pressSequentially("bread ");
  await says(page, await body(second).inputValue());
  await body(page).fill(`${await body(page).inputValue()}\nstamps`);
  await says(second, await body(page).inputValue());
  assert.match(await body(second).inputValue(), /bread.*stamps/s);

  await page.getByRole("button", { name: "New note" }).click();
  await body(page).fill("Holiday");
  await listed(page, "Holiday");
  await page.getByRole("searchbox").fill("stam");
  await page.getByRole("listitem").filter({ hasText: "Holiday" }).waitFor({ state: "detached" });
  await listed(page, "Groceries");
  await page.getByRole("searchbox").fill("");
  await listed(page, "Holiday");
  await page.getByRole("button", { name: "Delete note" }).click();
  await second.getByRole("listitem").filter({ hasText: "Holiday" }).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Undo" }).click();
  await listed(second, "Holiday");

  await wallet.restart();
  await body(second).fill("Groceries: all of them");
  await listed(page, "all of them");
  assert.equal(await page.locator("#notice").isVisible(), false);

  // The owner sees them, too, and can end it.
  const [space] = await wallet.run(["spaces", "list"]);
  assert.equal(space.items, 2);
  await wallet.revoke(notes.origin);
  await view(page, "signed-out");
  await view(second, "signed-out");
  await context.close();
});
