// The tasks example: an unmodified @dxos/client in a real Chromium, with HALO as its host.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { openBrowser, wordsOn } from "../clients/browser.mjs";
import { Wallet } from "./signin.mjs";

const built = new URL("../../examples/dxos-tasks/dist/", import.meta.url);
const types = { html: "text/html", css: "text/css", js: "text/javascript", wasm: "application/wasm" };

let wallet;
let browser;
let server;
let origin;
before(async () => {
  server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    try {
      const file = await readFile(new URL(`.${pathname === "/" ? "/index.html" : pathname}`, built));
      response.setHeader("Content-Type", types[pathname.split(".").pop()] ?? "text/html").end(file);
    } catch {
      response.writeHead(404).end();
    }
  }).listen(0, "localhost");
  await once(server, "listening");
  origin = `http://localhost:${server.address().port}`;
  [wallet, browser] = await Promise.all([Wallet.start(), openBrowser()]);
});
after(() => Promise.all([wallet?.end(), browser?.close(), server?.close()]));

const view = (page, name) => page.locator(`#app[data-view="${name}"]`).waitFor();
const task = (page, title) => page.getByRole("listitem").filter({ hasText: title });

test("a page of an unmodified DXOS client keeps its tasks in the wallet, in two windows, over restarts", async () => {
  const context = await browser.newContext();
  const open = async () => {
    const page = await context.newPage();
    await page.goto(`${origin}/?port=${wallet.port}`);
    return page;
  };
  const page = await open();
  await view(page, "signed-out");
  await page.click("#sign-in");
  await wallet.approve(await wallet.request(), { words: await wordsOn(page) });
  await view(page, "tasks");
  assert.equal(await page.locator("#name").textContent(), "Ada");
  await page.getByText("Nothing is to be done").waitFor();
  for (const title of ["Milk", "Bread"]) {
    await page.getByRole("textbox", { name: "New task" }).fill(title);
    await page.getByRole("button", { name: "Add" }).click();
    await task(page, title).waitFor();
  }
  const second = await open();
  await view(second, "tasks");
  await task(second, "Bread").waitFor();
  await second.getByRole("checkbox", { name: "Milk" }).check();
  await page.locator('input[type="checkbox"]:checked').waitFor();
  await page.getByRole("button", { name: "Remove" }).last().click();
  await task(second, "Bread").waitFor({ state: "detached" });

  // It is the same data that the owner sees, and finds by any other way.
  const [space] = await wallet.run(["spaces", "list"]);
  const found = await wallet.run(["items", "query", "--space", space.id, "--type", "example.org/type/Task"]);
  assert.deepEqual(found.map(({ data }) => [data.title, data.done]), [["Milk", true]]);

  await wallet.restart();
  await page.reload();
  await view(page, "tasks");
  await task(page, "Milk").waitFor();
  await wallet.revoke(origin);
  await view(page, "signed-out");
  await context.close();
});
