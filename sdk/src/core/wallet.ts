/**
 * Which of the programs that answer is the wallet this app knows.
 *
 * Any program can listen on a wallet's port. So before anything is asked of it, the wallet signs a fresh challenge
 * with the key that was pinned at first contact. The address is signed too, and the DPoP proof names it, so a
 * squatter cannot pass the question on to the real wallet.
 */

import { errorOf, oauthError, walletJwt } from "./answers.js";
import type { Door } from "./door.js";
import { randomText } from "./encoding.js";
import { HaloError } from "./errors.js";
import { dpop, type Instance } from "./instance.js";
import type { Platform } from "./platform.js";

type Greeting = "proved" | "unknown" | "locked" | "changed";

export interface Known {
  instance: Instance;
  /** The pinned key; without one every wallet is a stranger. */
  wallet: string | undefined;
  issuer: string | undefined;
}

async function greet(door: Door, clientId: string, instance: Instance, wallet: string): Promise<Greeting> {
  const challenge = randomText();
  const reply = await door.send({
    method: "POST",
    path: "/halo/hello",
    headers: { DPoP: await dpop(instance, "POST", `${door.issuer}/halo/hello`) },
    json: { client_id: clientId, challenge },
  });
  const error = oauthError(reply);
  if (error === "unknown_instance" || error === "no_identity") return "unknown";
  if (error === "locked") return "locked";
  if (reply.status === 429) throw errorOf(reply);
  const token = reply.body.token;
  if (typeof token !== "string") return "changed";
  try {
    const payload = await walletJwt(token, { issuer: door.issuer, clientId, wallet }, "halo-hello+jwt");
    return payload.nonce === challenge ? "proved" : "changed";
  } catch {
    return "changed";
  }
}

/** Where to sign in: the wallet this app knows, or, without one or after it forgot the app, the first that answers. */
export async function meet(platform: Platform, known: Known): Promise<{ door: Door; proved: boolean }> {
  const seen = new Map<Greeting, Door>();
  for await (const door of platform.doors(true, known.issuer)) {
    if (known.wallet === undefined) return { door, proved: false };
    const greeting = await greet(door, platform.clientId, known.instance, known.wallet);
    if (greeting === "proved") return { door, proved: true };
    if (!seen.has(greeting)) seen.set(greeting, door);
  }
  const changed = seen.get("changed");
  if (changed) throw new HaloError("wallet_changed", { detail: `at ${changed.issuer}` });
  // A locked wallet signs nothing; asking it brings up its unlock screen, and its tokens would be checked with the pinned key.
  const locked = seen.get("locked");
  if (locked) return { door: locked, proved: true };
  const unknown = seen.get("unknown");
  if (unknown) return { door: unknown, proved: false };
  throw new HaloError("not_installed");
}

/** The wallet of a session that exists. `signed_out` if it does not know this app any more. */
export async function meetAgain(platform: Platform, known: Known & { wallet: string }): Promise<Door> {
  const seen = new Set<Greeting>();
  for await (const door of platform.doors(false, known.issuer)) {
    const greeting = await greet(door, platform.clientId, known.instance, known.wallet);
    if (greeting === "proved") return door;
    seen.add(greeting);
  }
  if (seen.has("changed")) throw new HaloError("wallet_changed");
  if (seen.has("locked")) throw new HaloError("locked");
  throw new HaloError(seen.has("unknown") ? "signed_out" : "not_installed");
}
