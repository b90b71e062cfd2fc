/**
 * Finding HALO from a page: a plain `fetch` to each of its ports, since only that raises the browser's question.
 *
 * The ports are asked one after the other. Nearly always the first answers, and each refusal leaves a line in the console.
 */

import { HaloError } from "../core/errors.js";
import type { Door } from "../core/door.js";
import { pageDoor } from "./door.js";
import { blocksMixedLoopback, isLocalPage, localNetwork } from "./permission.js";

/** Where HALO listens: the first of these that was free. */
export const PORTS: readonly number[] = [47110, 47111, 47112, 47113, 47114];

/** A wallet on this machine answers in milliseconds; a program that only accepts connections must not hold us up. */
const ANSWER_WITHIN = 1_000;
/** The user reads and decides. */
const DECIDE_WITHIN = 60_000;

export interface Search {
  ports: readonly number[];
  /** A click led here, so the browser may ask the user. */
  asked: boolean;
  /** Where the wallet answered last. */
  first: string | undefined;
  /** Says what the browser is about to ask. */
  explain: () => { close(): void };
}

export async function* findDoors({ ports, asked, first, explain }: Search): AsyncGenerator<Door> {
  const permission = isLocalPage(location) ? undefined : await localNetwork();
  if (permission?.state === "denied") throw new HaloError("blocked_by_browser");
  // Without a click the browser's question would come out of the blue.
  if (permission?.state === "prompt" && !asked) throw new HaloError("blocked_by_browser", { detail: "not asked yet" });
  const issuers = ports.map((port) => `http://127.0.0.1:${port}`);
  issuers.sort((a, b) => Number(b === first) - Number(a === first));
  let found = false;
  let explained = permission?.state === "prompt" ? explain() : undefined;
  try {
    for (const issuer of issuers) {
      const answered = await answers(issuer, permission);
      explained?.close();
      explained = undefined;
      if (!answered) continue;
      found = true;
      yield pageDoor(issuer);
    }
  } finally {
    explained?.close();
  }
  if (found) return;
  if (permission && permission.state !== "granted") throw new HaloError("blocked_by_browser");
  if (permission === undefined && !isLocalPage(location) && blocksMixedLoopback()) {
    throw new HaloError("blocked_by_browser", { next: "Safari cannot reach HALO from this page: use another browser." });
  }
  throw new HaloError("not_installed");
}

/** Whether a wallet says so at this address. It is a claim: who it is, is proved later. */
async function answers(issuer: string, permission: PermissionStatus | undefined): Promise<boolean> {
  const stop = new AbortController();
  const give = () => {
    stop.abort();
  };
  let timer = setTimeout(give, permission?.state === "prompt" ? DECIDE_WITHIN : ANSWER_WITHIN);
  const decided = () => {
    clearTimeout(timer);
    if (permission?.state === "denied") give();
    else timer = setTimeout(give, ANSWER_WITHIN);
  };
  permission?.addEventListener("change", decided);
  try {
    const response = await fetch(`${issuer}/.well-known/halo`, {
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: stop.signal,
    });
    const about = (await response.json()) as { name?: unknown } | null;
    return response.ok && about?.name === "HALO";
  } catch {
    if (permission?.state === "denied") throw new HaloError("blocked_by_browser");
    return false;
  } finally {
    clearTimeout(timer);
    permission?.removeEventListener("change", decided);
  }
}
