/**
 * Asking to sign in: the request, the comparison of words if the wallet does not know this installation, the wait.
 */

import { errorOf, oauthError } from "./answers.js";
import { pause } from "./clock.js";
import { introduction, makeFirstContact, type Introduction } from "./contact.js";
import type { Door, Reply } from "./door.js";
import { randomText } from "./encoding.js";
import { HaloError } from "./errors.js";
import { dpop, instanceOf, type Instance } from "./instance.js";
import type { Platform } from "./platform.js";
import type { Remembered } from "./storage.js";
import { meet } from "./wallet.js";
import type { Words } from "./words.js";

/** How often the wallet is asked for the user's answer, unless it says otherwise. */
const ASK_EVERY = 1_000;
/** In which time a standing grant has answered. */
const AT_ONCE = 30;

export interface SignInOptions {
  /** Comes back in the proof; let the backend make it, once for each sign-in. */
  nonce?: string;
  /**
   * Shows the three words of a first contact, instead of the SDK's own dialog. In redirect mode the page is left when
   * what it returns has resolved.
   */
  onWords?: (words: Words) => void | Promise<void>;
  /** Ends the attempt with `cancelled`. */
  signal?: AbortSignal;
}

export interface Wish {
  name: string;
  scope: string;
  remembered: Remembered;
}

/** A request that the wallet took. */
export interface Opening {
  door: Door;
  instance: Instance;
  remembered: Remembered;
  nonce: string;
  reply: Reply;
  introduction: Introduction | undefined;
}

/** Posts a form with a proof of the instance key. A wallet that does not answer is `not_installed`. */
export async function post(door: Door, instance: Instance, path: string, form: Record<string, string>): Promise<Reply> {
  const headers = { DPoP: await dpop(instance, "POST", door.issuer + path) };
  return reach(door.send({ method: "POST", path, form, headers }));
}

export async function reach(sending: Promise<Reply>): Promise<Reply> {
  try {
    return await sending;
  } catch (cause) {
    throw cause instanceof HaloError ? cause : new HaloError("not_installed", { cause });
  }
}

export async function openRequest(
  platform: Platform,
  { name, scope, remembered }: Wish,
  path: string,
  extra: Record<string, string>,
  options: SignInOptions,
): Promise<Opening> {
  if (options.signal?.aborted) throw new HaloError("cancelled");
  const instance = await instanceOf(remembered.keys);
  const known = { instance, wallet: remembered.wallet, issuer: remembered.issuer };
  const { door, proved } = await meet(platform, known);
  const contact = proved ? undefined : await makeFirstContact();
  const nonce = options.nonce ?? randomText();
  const form = { client_id: platform.clientId, scope, nonce, halo_name: name, ...extra, ...contact?.fields };
  const reply = await post(door, instance, path, form);
  if (reply.status !== 200 && reply.status !== 201) throw errorOf(reply);
  if (!contact) return { door, instance, remembered, nonce, reply, introduction: undefined };
  const intro = await introduction(contact, reply, platform.clientId, instance.thumbprint);
  const revealed = await reach(
    door.send({
      method: "POST",
      path: "/halo/reveal",
      headers: { DPoP: await dpop(instance, "POST", `${door.issuer}/halo/reveal`) },
      json: { request_id: intro.requestId, app_nonce: contact.nonce },
    }),
  );
  if (revealed.status !== 200) throw errorOf(revealed);
  return { door, instance, remembered, nonce, reply, introduction: intro };
}

/** Asks for the tokens until the user has answered; `waiting` is called whenever they have not. */
export async function poll(
  clientId: string,
  opening: Opening,
  request: string,
  signal: AbortSignal,
  waiting: () => void,
): Promise<Record<string, unknown>> {
  const { expires_in, interval } = opening.reply.body;
  const until = Date.now() + (typeof expires_in === "number" ? expires_in : 120) * 1000;
  let every = typeof interval === "number" ? interval * 1000 : ASK_EVERY;
  // A standing grant answers at once; a person does not.
  await pause(opening.introduction ? every : AT_ONCE, signal);
  for (;;) {
    const reply = await post(opening.door, opening.instance, "/token", {
      grant_type: "urn:openid:params:grant-type:ciba",
      client_id: clientId,
      auth_req_id: request,
    });
    if (reply.status === 200) return reply.body;
    const error = oauthError(reply);
    if (error === "slow_down") every += 5_000;
    else if (error !== "authorization_pending") throw errorOf(reply);
    if (Date.now() >= until) throw new HaloError("expired");
    waiting();
    await pause(every, signal);
  }
}

/** Shows the words before the page is left, and waits until they were read. */
export async function letRead(platform: Platform, words: Words, { onWords, signal }: SignInOptions): Promise<void> {
  if (onWords) {
    await onWords(words);
    return;
  }
  await new Promise<void>((resolve, reject) => {
    const cancel = () => {
      reject(new HaloError("cancelled"));
    };
    const shown = platform.show({ words, leaving: true, cancel });
    signal?.addEventListener("abort", cancel, { once: true });
    void shown.read.then(resolve);
  });
}
