// The SDK and the example, in a real browser against a real wallet.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { freePort, notice, openBrowser, openHello, startHello, verified, view, wordsOn } from "./browser.mjs";
import { Wallet } from "./wallet.mjs";

let wallet;
let browser;
let hello;
before(async () => {
  [wallet, browser, hello] = await Promise.all([Wallet.start({ name: "Ada" }), openBrowser(), startHello()]);
});
after(() => Promise.all([wallet?.end(), browser?.close(), hello?.stop()]));

const subjectOn = (page) => page.locator("#subject").textContent();

/** A first sign-in: the user picks the words that the page shows. */
async function signIn(page, by = wallet, approval = {}) {
  await page.click("#sign-in");
  const request = await by.request();
  const words = await wordsOn(page);
  assert.equal(request.word_choices.length, 4);
  assert.ok(
    request.word_choices.some((choice) => choice.join() === words.join()),
    "the page's words are among those the prompt offers",
  );
  await by.approve(request, { words, ...approval });
  await verified(page);
}

/** One test, in a browser profile of its own. */
const inBrowser = (name, work) =>
  test(name, async () => {
    const context = await browser.newContext();
    try {
      await work(context);
    } finally {
      await context.close();
    }
  });

inBrowser("a page signs its user in, stays signed in over a reload, and is signed out at once when revoked", async (context) => {
  const page = await openHello(context, hello.origin, [wallet.port]);
  await view(page, "signed-out");
  await signIn(page);
  assert.equal(await page.locator("#name").textContent(), "Ada");
  assert.equal(await page.locator("[data-halo]").count(), 0, "the dialog is gone");
  const subject = await subjectOn(page);
  const [app] = (await wallet.apps()).filter((app) => app.origin === hello.origin);
  assert.equal(app.sub, subject);
  assert.equal(app.name, "Hello");

  const asked = wallet.asked;
  await page.reload();
  await verified(page);
  assert.equal(await subjectOn(page), subject);
  assert.equal(wallet.asked, asked, "nobody was asked");

  await wallet.revoke(hello.origin);
  await view(page, "signed-out");
  await page.reload();
  await view(page, "signed-out");
});

inBrowser("signing out and in again needs no words and no prompt", async (context) => {
  const page = await openHello(context, hello.origin, [wallet.port]);
  await view(page, "signed-out");
  await signIn(page);
  const subject = await subjectOn(page);
  const asked = wallet.asked;
  await page.click("#sign-out");
  await view(page, "signed-out");
  await page.click("#sign-in");
  await verified(page);
  assert.equal(await subjectOn(page), subject);
  assert.equal(wallet.asked, asked);
});

// threat: 6
inBrowser("the key of a page can be used, but not read", async (context) => {
  const page = await openHello(context, hello.origin, [wallet.port]);
  await view(page, "signed-out");
  await signIn(page);
  const extractable = await page.evaluate(async () => {
    const open = indexedDB.open("halo", 1);
    await new Promise((resolve) => (open.onsuccess = resolve));
    const get = open.result.transaction("app").objectStore("app").get("remembered");
    await new Promise((resolve) => (get.onsuccess = resolve));
    return get.result.keys.privateKey.extractable;
  });
  assert.equal(extractable, false);
});

inBrowser("a page that comes back by redirect is signed in, too", async (context) => {
  const page = await openHello(context, hello.origin, [wallet.port], "/?redirect");
  await view(page, "signed-out");
  await page.click("#sign-in");
  const words = await wordsOn(page);
  const request = await wallet.request();
  await page.locator("[data-halo] button.go").click();
  await page.waitForURL(`${wallet.issuer}/authorize*`);
  await wallet.approve(request, { words });
  await page.waitForURL(`${hello.origin}/**`);
  await verified(page);
  assert.equal(new URL(page.url()).search, "", "no code is left in the address");
});

inBrowser("where the user agrees, the backend learns the identity, by the chain of the device", async (context) => {
  const page = await openHello(context, hello.origin, [wallet.port], "/?identity");
  await view(page, "signed-out");
  const answer = page.waitForResponse("**/sign-in");
  await signIn(page, wallet, { identity: true });
  const { subject, did, name } = await (await answer).json();
  assert.equal(subject, wallet.identity.did_key);
  assert.equal(did, wallet.identity.did);
  assert.equal(name, "Ada");
  await wallet.revoke(hello.origin);
  await view(page, "signed-out");
});

inBrowser("two origins know the user by different names, one by the same after a restart", async (context) => {
  const other = await startHello();
  try {
    const one = await openHello(context, hello.origin, [wallet.port]);
    await view(one, "signed-out");
    await signIn(one);
    const two = await openHello(context, other.origin, [wallet.port]);
    await view(two, "signed-out");
    await signIn(two);
    const subject = await subjectOn(one);
    assert.notEqual(await subjectOn(two), subject);
    await wallet.restart();
    await one.reload();
    await verified(one);
    assert.equal(await subjectOn(one), subject);
  } finally {
    other.stop();
  }
});

inBrowser("a locked wallet is no sign-out, and the page goes on by itself when it is unlocked", async (context) => {
  const page = await openHello(context, hello.origin, [wallet.port]);
  await view(page, "signed-out");
  await signIn(page);
  await wallet.lock();
  await page.getByText("HALO is locked", { exact: true }).waitFor();
  const stranger = await openHello(await browser.newContext(), hello.origin, [wallet.port]);
  await view(stranger, "signed-out");
  await stranger.click("#sign-in");
  await notice(stranger, "locked");
  await stranger.context().close();
  await wallet.unlock();
  await verified(page);
});

inBrowser("a no is a no, and after the third the app is muted", async (context) => {
  const other = await startHello();
  try {
    const page = await openHello(context, other.origin, [wallet.port]);
    await view(page, "signed-out");
    for (let times = 0; times < 3; times += 1) {
      await page.click("#sign-in");
      await wallet.deny(await wallet.request());
      await notice(page, "denied");
    }
    await page.click("#sign-in");
    await notice(page, "muted");
  } finally {
    other.stop();
  }
});

// threat: 8
inBrowser("words that the page does not show are a no", async (context) => {
  const other = await startHello();
  try {
    const page = await openHello(context, other.origin, [wallet.port]);
    await view(page, "signed-out");
    await page.click("#sign-in");
    const request = await wallet.request();
    const shown = (await wordsOn(page)).join();
    const words = request.word_choices.find((choice) => choice.join() !== shown);
    await wallet.approve(request, { words }).catch(() => undefined);
    await page.locator('#notice:is([data-code="denied"], [data-code="words_mismatch"])').waitFor();
  } finally {
    other.stop();
  }
});

inBrowser("cancelling, and no wallet at all, are explained", async (context) => {
  const page = await openHello(context, hello.origin, [wallet.port]);
  await view(page, "signed-out");
  await page.click("#sign-in");
  const request = await wallet.request();
  await wordsOn(page);
  await page.keyboard.press("Escape");
  await notice(page, "cancelled");
  await wallet.deny(request);
  const nowhere = await openHello(context, hello.origin, [await freePort()]);
  await view(nowhere, "signed-out");
  await nowhere.click("#sign-in");
  await notice(nowhere, "not_installed");
});

// threat: 7
inBrowser("another wallet on the port is not taken for the one the page knows", async (context) => {
  const first = await Wallet.start({ name: "First" });
  const { port } = first;
  let second;
  try {
    const page = await openHello(context, hello.origin, [port]);
    await view(page, "signed-out");
    await signIn(page, first);
    await page.click("#sign-out");
    await view(page, "signed-out");
    await first.stop();
    second = await Wallet.start({ name: "Second", port });
    await page.click("#sign-in");
    const request = await second.request();
    await second.approve(request, { words: await wordsOn(page) });
    await notice(page, "wallet_changed");
    assert.equal(await page.locator('#app[data-view="signed-out"]').count(), 1);
    // The user says that it is theirs: then it is met like any other.
    await page.click("#forget");
    await page.locator('#notice[data-tone="plain"]').waitFor();
    await signIn(page, second);
    assert.equal(await page.locator("#name").textContent(), "Second");
  } finally {
    await Promise.all([first.end(), second?.end()]);
  }
});

// threat: 7
inBrowser("a squatter that poses as HALO on an earlier port gets nothing from a page that knows its wallet", async (context) => {
  const heard = [];
  const squatter = createServer((request, response) => {
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Allow-Headers", "*");
    heard.push(request.url);
    if (request.url === "/.well-known/halo") response.end(JSON.stringify({ name: "HALO" }));
    else response.end(JSON.stringify({ token: "e30.e30.e30" }));
  }).listen(0, "127.0.0.1");
  await once(squatter, "listening");
  try {
    const ports = [squatter.address().port, wallet.port];
    const page = await openHello(context, hello.origin, [wallet.port]);
    await view(page, "signed-out");
    await signIn(page);
    await page.click("#sign-out");
    await view(page, "signed-out");
    await page.close();

    const again = await openHello(context, hello.origin, ports);
    await view(again, "signed-out");
    await again.click("#sign-in");
    await verified(again);
    await again.close();

    const alone = await openHello(context, hello.origin, [ports[0]]);
    await notice(alone, "wallet_changed");
    assert.ok(heard.every((url) => ["/.well-known/halo", "/halo/hello"].includes(url)), heard.join());
  } finally {
    squatter.closeAllConnections();
    squatter.close();
  }
});

inBrowser("inside another page HALO is not asked", async (context) => {
  const page = await openHello(context, hello.origin, [wallet.port]);
  await view(page, "signed-out");
  await page.evaluate(() => {
    const frame = document.createElement("iframe");
    frame.src = location.href;
    document.body.append(frame);
  });
  await page.frameLocator("iframe").locator('#notice[data-code="in_iframe"]').waitFor();
});
