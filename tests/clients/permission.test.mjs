// A page of the internet: Chromium asks its user before such a page may reach this machine (Local Network Access).
//
// The example stands in for one: the browser is told that its address is public, and its name secure.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { freePort, notice, openBrowser, openHello, startHello, verified, view, wordsOn } from "./browser.mjs";
import { Wallet } from "./wallet.mjs";

let wallet;
let browser;
let hello;
before(async () => {
  const port = await freePort();
  const origin = `http://app.example:${port}`;
  const args = [
    "--host-resolver-rules=MAP app.example localhost",
    `--unsafely-treat-insecure-origin-as-secure=${origin}`,
    `--ip-address-space-overrides=127.0.0.1:${port}=public,[::1]:${port}=public`,
  ];
  [wallet, browser, hello] = await Promise.all([Wallet.start(), openBrowser(args), startHello({ port, origin })]);
});
after(() => Promise.all([wallet?.end(), browser?.close(), hello?.stop()]));

async function open(permissions) {
  const context = await browser.newContext();
  if (permissions) await context.grantPermissions(permissions, { origin: hello.origin });
  const page = await openHello(context, hello.origin, [wallet.port]);
  await view(page, "signed-out");
  return page;
}

test("a page that the browser does not let through says how to undo that", async () => {
  const page = await open();
  // A headless browser answers its question with no.
  await page.click("#sign-in", { noWaitAfter: true });
  await notice(page, "blocked_by_browser");
  assert.match(await page.locator("#notice-next").textContent(), /allow access/);
  assert.equal(await page.locator("[data-halo]").count(), 0, "the explanation of the question is gone");
  await page.click("#sign-in");
  await notice(page, "blocked_by_browser");
  assert.equal(wallet.asked, 0);
  await page.context().close();
});

test("a page that the browser lets through signs in, and hears of the wallet", async () => {
  const page = await open(["local-network-access"]);
  await page.click("#sign-in");
  const request = await wallet.request();
  assert.equal(request.app.origin, hello.origin);
  await wallet.approve(request, { words: await wordsOn(page) });
  await verified(page);
  await wallet.revoke(hello.origin);
  await view(page, "signed-out");
  await page.context().close();
});
