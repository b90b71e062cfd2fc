// A real Chromium, and the example app in it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const EXAMPLE = fileURLToPath(new URL("../../examples/hello-login/", import.meta.url));

export function openBrowser(args = []) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...args,
    ],
  });
}

export async function freePort() {
  const server = createServer().listen(0, "localhost");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Runs the example's backend. */
export async function startHello({ port, origin } = {}) {
  port ??= await freePort();
  origin ??= `http://localhost:${port}`;
  const child = spawn(process.execPath, ["backend.mjs"], {
    cwd: EXAMPLE,
    env: { ...process.env, PORT: String(port), ORIGIN: origin },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(createInterface({ input: child.stdout }), "line");
  return { origin, stop: () => child.kill() };
}

/** Opens the example. Its SDK looks for HALO on `ports` only, so that other wallets on this machine stay out of the test. */
export async function openHello(context, origin, ports, path = "/") {
  const page = await context.newPage();
  const source = await readFile(`${EXAMPLE}page/hello.js`, "utf8");
  const changed = source.replace('new Halo({ name: "Hello", identity })', `new Halo({ name: "Hello", identity, ports: ${JSON.stringify(ports)} })`);
  if (changed === source) throw new Error("the example makes its Halo in another way now");
  await page.route("**/hello.js", (route) => route.fulfill({ contentType: "text/javascript", body: changed }));
  await page.goto(origin + path);
  return page;
}

/** The three words that the SDK's dialog shows. */
export async function wordsOn(page) {
  const words = page.locator("[data-halo] li");
  await words.nth(2).waitFor();
  return words.allTextContents();
}

/** Waits until the page shows a verdict of the backend. */
export function verified(page) {
  return page.locator('#verdict[data-verdict="verified"]').waitFor();
}

/** Waits for the view `signed-in` or `signed-out`. */
export function view(page, name) {
  return page.locator(`#app[data-view="${name}"]`).waitFor();
}

/** Waits for an error the page explains. */
export function notice(page, code) {
  return page.locator(`#notice[data-code="${code}"]`).waitFor();
}
