// A real Chromium, and the example app in it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

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

const example = (name) => fileURLToPath(new URL(`../../examples/${name}/`, import.meta.url));

/** Runs what serves an example. */
export async function startExample(name, script, { port, origin } = {}) {
  port ??= await freePort();
  origin ??= `http://localhost:${port}`;
  const child = spawn(process.execPath, [script], {
    cwd: example(name),
    env: { ...process.env, PORT: String(port), ORIGIN: origin },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(createInterface({ input: child.stdout }), "line");
  return { origin, stop: () => child.kill() };
}

export const startHello = (options) => startExample("hello-login", "backend.mjs", options);

/** Opens an example. Its SDK looks for HALO on `ports` only, so that other wallets on this machine stay out of the test. */
export async function openExample(context, name, origin, ports, path = "/") {
  const page = await context.newPage();
  const script = `${name.split("-")[0]}.js`;
  const source = await readFile(`${example(name)}page/${script}`, "utf8");
  const changed = source.replace(/new Halo\(\{ /, `new Halo({ ports: ${JSON.stringify(ports)}, `);
  if (changed === source) throw new Error("the example makes its Halo in another way now");
  await page.route(`**/${script}`, (route) => route.fulfill({ contentType: "text/javascript", body: changed }));
  await page.goto(origin + path);
  return page;
}

export const openHello = (context, origin, ports, path) => openExample(context, "hello-login", origin, ports, path);

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
