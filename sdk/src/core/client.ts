/**
 * Signing in and staying signed in, the same for pages and programs.
 *
 * The rule it guards: nothing a wallet says counts before it was checked with the key pinned at first contact, and no
 * refresh token is used twice, however many tabs there are.
 */

import { errorNamed, errorOf, readJwt, readTokens, type Tokens } from "./answers.js";
import { openCommitment } from "./contact.js";
import type { Door, Line, LineEvents, Reply } from "./door.js";
import { randomText, sha256, toBase64Url, utf8 } from "./encoding.js";
import { HaloError, protocolError } from "./errors.js";
import { dpop, instanceOf, type Instance } from "./instance.js";
import { Live } from "./live.js";
import { Memory } from "./memory.js";
import type { Platform } from "./platform.js";
import { Session, type SessionState, type SignedOutReason, type UserInfo } from "./session.js";
import { letRead, openRequest, poll, post, reach, type Opening, type SignInOptions, type Wish } from "./sign_in.js";
import type { StoredSession } from "./storage.js";
import { meetAgain } from "./wallet.js";

export type { SignInOptions } from "./sign_in.js";

/** An access token that ends sooner than this is renewed before it is used. */
const SPARE_TIME = 30_000;
/** A proof that ends sooner than this is made anew, so that it does not expire on its way. */
const SPARE_PROOF = 60_000;
export interface ClientOptions {
  /** What the app calls itself; the prompt shows it as a claim, beside the origin. */
  name: string;
  /** Further scopes; `openid` is always asked for. Default: `["profile"]`. */
  scopes?: readonly string[];
  /** Ask for the real identity instead of a private alias. The user may still choose the alias. */
  identity?: boolean;
}

export interface ClientEvents {
  "signed-out": SignedOutReason;
  state: SessionState;
}

type Listeners = { [Name in keyof ClientEvents]: Set<(value: ClientEvents[Name]) => void> };

export class Client {
  protected readonly platform: Platform;
  readonly #options: ClientOptions;
  readonly #memory: Memory;
  readonly #listeners: Listeners = { "signed-out": new Set(), state: new Set() };
  readonly #channel: { tell(): void; close(): void };
  #current: Session | undefined;
  #live: Live | undefined;
  #door: Door | undefined;
  #restoring: Promise<Session | undefined> | undefined;
  #refreshing: Promise<StoredSession> | undefined;
  #proof: string | undefined;
  #stale = false;

  /** @internal */
  constructor(platform: Platform, options: ClientOptions) {
    this.platform = platform;
    this.#options = options;
    this.#memory = new Memory(platform.storage);
    this.#channel = platform.channel(() => {
      this.#end("signed_out");
    });
  }

  /** Calls back when something happens; returns how to stop that. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (value: ClientEvents[Name]) => void): () => void {
    this.#listeners[name].add(listener);
    return () => {
      this.#listeners[name].delete(listener);
    };
  }

  /**
   * The session of an earlier visit, or `undefined`. It is there also while the wallet is locked or not running: see its
   * `state`. Throws `wallet_changed` if another wallet answers.
   */
  session(): Promise<Session | undefined> {
    if (this.#current) return Promise.resolve(this.#current);
    this.#restoring ??= this.#restore().finally(() => {
      this.#restoring = undefined;
    });
    return this.#restoring;
  }

  /** Forgets the wallet this app knows, and the session: for a user who has set HALO up anew. */
  async forget(): Promise<void> {
    this.#end("signed_out");
    await this.platform.storage.exclusive(() => this.platform.storage.save(undefined));
  }

  /** Ends connections and timers; the session stays for the next visit. */
  close(): void {
    this.#live?.stop();
    this.#live = undefined;
    this.#current?._data.close();
    this.#channel.close();
  }

  // ---------------------------------------------------------------- signing in

  protected async signInByBackChannel(options: SignInOptions): Promise<Session> {
    const cancelled = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, cancelled.signal]) : cancelled.signal;
    const opening = await openRequest(this.platform, await this.#wish(), "/bc-authorize", { login_hint: "halo" }, options);
    const request = opening.reply.body.auth_req_id;
    if (typeof request !== "string") throw protocolError("auth_req_id is missing");
    const words = opening.introduction?.words;
    if (words) await options.onWords?.(words);
    let shown: { close(): void } | undefined;
    const show = () => {
      if (shown || (words && options.onWords)) return;
      shown = this.platform.show({ words, leaving: false, cancel: () => { cancelled.abort(); } });
    };
    if (words) show();
    try {
      const body = await poll(this.platform.clientId, opening, request, signal, show);
      return await this.#accept(opening, body);
    } finally {
      shown?.close();
    }
  }

  /** Sends the request ahead and returns the address to go to. */
  protected async prepareRedirect(redirectUri: string, options: SignInOptions): Promise<string> {
    const verifier = randomText();
    const state = randomText();
    const opening = await openRequest(
      this.platform,
      await this.#wish(),
      "/par",
      {
        response_type: "code",
        redirect_uri: redirectUri,
        state,
        code_challenge: toBase64Url(await sha256(utf8(verifier))),
        code_challenge_method: "S256",
      },
      options,
    );
    const requestUri = opening.reply.body.request_uri;
    if (typeof requestUri !== "string") throw protocolError("request_uri is missing");
    const { nonce, door, introduction: intro } = opening;
    const redirect = { issuer: door.issuer, state, nonce, verifier, redirectUri };
    await this.#memory.change((remembered) => {
      remembered.redirect = intro ? { ...redirect, walletCommitment: intro.walletCommitment } : redirect;
    });
    if (intro) await letRead(this.platform, intro.words, options);
    const query = new URLSearchParams({ client_id: this.platform.clientId, request_uri: requestUri });
    return `${door.issuer}/authorize?${query.toString()}`;
  }

  /** Takes the answer that the wallet's page sent back. */
  protected async finishRedirect(answer: URLSearchParams): Promise<Session> {
    const remembered = await this.#memory.recall();
    const redirect = remembered.redirect;
    await this.#memory.change((next) => {
      delete next.redirect;
    });
    if (redirect?.state !== answer.get("state")) throw protocolError("this page did not ask for that answer");
    if (answer.has("iss") && answer.get("iss") !== redirect.issuer) throw protocolError("somebody else answered");
    const error = answer.get("error");
    if (error !== null) throw errorNamed(error, answer.get("error_description"));
    const door = await this.#doorOf(redirect.issuer);
    const instance = await instanceOf(remembered.keys);
    const reply = await this.#post(door, instance, "/token", {
      grant_type: "authorization_code",
      client_id: this.platform.clientId,
      code: answer.get("code") ?? "",
      redirect_uri: redirect.redirectUri,
      code_verifier: redirect.verifier,
    });
    if (reply.status !== 200) throw errorOf(reply);
    return this.#accept({ door, instance, remembered, nonce: redirect.nonce }, reply.body, redirect.walletCommitment);
  }

  /** Checks the tokens of a new session, pins the wallet's key at first contact, and remembers. */
  async #accept(
    opening: Omit<Opening, "reply" | "introduction"> & { introduction?: Opening["introduction"] },
    body: Record<string, unknown>,
    commitment = opening.introduction?.walletCommitment,
  ): Promise<Session> {
    const { door, instance, remembered, nonce } = opening;
    const wallet = commitment === undefined ? remembered.wallet : await openCommitment(commitment, body);
    if (wallet === undefined) throw protocolError("tokens of a wallet that was never met");
    const tokens = await readTokens(body, { issuer: door.issuer, clientId: this.platform.clientId, wallet, nonce });
    if (remembered.wallet !== undefined && remembered.wallet !== wallet) {
      // It is not for this app to keep what another wallet gave.
      await this.#revoke(door, instance, tokens.refreshToken);
      throw new HaloError("wallet_changed");
    }
    const stored = storedOf(tokens);
    await this.#memory.change((next) => {
      next.wallet = wallet;
      next.issuer = door.issuer;
      next.session = stored;
    });
    this.#door = door;
    this.#proof = tokens.proof;
    this.#live?.stop();
    const session = this.#begin(stored);
    await this.#refreshProfile(session).catch(() => undefined);
    this.#setState("active");
    this.#startLive();
    return session;
  }

  // ---------------------------------------------------------------- staying signed in

  async #restore(): Promise<Session | undefined> {
    const stored = (await this.platform.storage.load())?.session;
    if (!stored) return undefined;
    const session = this.#begin(stored);
    try {
      await this.#refreshProfile(session);
      this.#setState("active");
    } catch (error) {
      const code = error instanceof HaloError ? error.code : "protocol";
      if (code === "wallet_changed") {
        this.#current = undefined;
        throw error;
      }
      if (code === "signed_out") {
        await this.#memory.dropSession();
        this.#end("revoked");
        return undefined;
      }
      this.#setState(code === "locked" ? "locked" : "unreachable");
    }
    this.#startLive();
    return session;
  }

  #begin(stored: StoredSession): Session {
    const session: Session = new Session(
      {
        proof: (nonce) => this.#proofFor(nonce),
        call: (method, path) => this.#call(method, path),
        userInfo: () => this.#refreshProfile(session),
        signOut: () => this.#signOut(),
        openLine: (path, events) => this.#openDataLine(path, events),
        ticket: async () => {
          const { door, token } = await this.#ticket();
          return { url: `${door.issuer.replace(/^http/, "ws")}/dxos`, token };
        },
      },
      stored,
    );
    this.#current = session;
    return session;
  }

  #startLive(): void {
    this.#live = new Live({
      open: (events) => this.#openLine(events),
      stale: () => {
        this.#stale = true;
      },
      state: (state) => {
        if (state !== "active") this.#door = undefined;
        this.#setState(state);
      },
      over: (reason) => {
        // Another wallet says nothing about our session: it is kept for when the right one answers again.
        const dropped = reason === "wallet_changed" ? Promise.resolve() : this.#memory.dropSession();
        void dropped.catch(() => undefined);
        this.#end(reason);
      },
      onAwake: (callback) => this.platform.onAwake(callback),
    });
  }

  async #openLine(events: LineEvents): Promise<{ send(text: string): void; close(): void }> {
    const door = await this.#wallet();
    const { accessToken } = await (this.#stale ? this.#refresh(true) : this.#fresh());
    this.#stale = false;
    const instance = await this.#memory.instance();
    const line = await door.listen("/halo", events);
    const proof = await dpop(instance, "GET", `${door.issuer}/halo`, accessToken);
    line.send(JSON.stringify({ type: "hello", access_token: accessToken, dpop: proof }));
    return line;
  }

  async #openDataLine(path: string, events: LineEvents): Promise<Line> {
    const { door, token } = await this.#ticket();
    return door.listen(path, events, token);
  }

  /** A token for one line: a WebSocket cannot carry the proof that our tokens are bound to. */
  async #ticket(): Promise<{ door: Door; token: string }> {
    const reply = await this.#call("POST", "/halo/ticket");
    const token = reply.body.ticket;
    if (reply.status !== 200) throw errorOf(reply);
    if (typeof token !== "string") throw protocolError("there is no ticket");
    return { door: await this.#wallet(), token };
  }

  async #refreshProfile(session: Session): Promise<UserInfo> {
    const reply = await this.#call("GET", "/userinfo");
    if (reply.status !== 200) throw errorOf(reply);
    const { sub, name, picture } = reply.body;
    if (sub !== session.subject) throw protocolError("the wallet speaks of another user");
    const profile = {
      ...(typeof name === "string" ? { name } : {}),
      ...(typeof picture === "string" ? { picture } : {}),
    };
    await this.#memory.change((remembered) => {
      if (!remembered.session) return;
      delete remembered.session.name;
      delete remembered.session.picture;
      Object.assign(remembered.session, profile);
      session._update(session.state, remembered.session);
    });
    return { sub: session.subject, ...profile };
  }

  /** Calls the wallet with the access token; one that it does not know any more is renewed once. */
  async #call(method: "GET" | "POST", path: string): Promise<Reply> {
    if (!path.startsWith("/") || path.startsWith("//")) throw new HaloError("refused", { detail: "only paths of the wallet" });
    const door = await this.#wallet();
    const instance = await this.#memory.instance();
    const send = async ({ accessToken }: StoredSession) => {
      const proof = await dpop(instance, method, door.issuer + path.replace(/[?#].*$/, ""), accessToken);
      const headers = { Authorization: `DPoP ${accessToken}`, DPoP: proof };
      return this.#lookAnew(reach(door.send({ method, path, headers })));
    };
    const reply = await send(await this.#fresh());
    // A wallet that was restarted has forgotten its access tokens.
    return reply.status === 401 ? send(await this.#refresh(true)) : reply;
  }

  async #proofFor(nonce: string | undefined): Promise<string> {
    const has = this.#proof === undefined ? undefined : readJwt(this.#proof);
    const young = has?.exp !== undefined && has.exp * 1000 - Date.now() > SPARE_PROOF;
    if (this.#proof !== undefined && young && (nonce === undefined || has.nonce === nonce)) return this.#proof;
    return (await this.#renew(nonce)).proof;
  }

  /** The session with an access token that lasts a while. */
  async #fresh(): Promise<StoredSession> {
    const stored = (await this.#memory.recall()).session;
    if (!stored) throw new HaloError("signed_out");
    return stored.accessExpires - Date.now() > SPARE_TIME ? stored : this.#refresh(false);
  }

  /** Renews the session once, however many ask for it at the same time. */
  #refresh(always: boolean): Promise<StoredSession> {
    this.#refreshing ??= this.#renew(undefined, always)
      .then(({ session }) => session)
      .finally(() => {
        this.#refreshing = undefined;
      });
    return this.#refreshing;
  }

  async #renew(nonce: string | undefined, always?: true): Promise<{ session: StoredSession; proof: string }>;
  async #renew(nonce: string | undefined, always: boolean): Promise<{ session: StoredSession; proof: string | undefined }>;
  #renew(nonce: string | undefined, always = true): Promise<{ session: StoredSession; proof: string | undefined }> {
    return this.platform.storage.exclusive(async () => {
      const remembered = await this.platform.storage.load();
      const before = remembered?.session;
      if (!before || remembered.wallet === undefined) throw new HaloError("signed_out");
      // Another tab may have done it while we waited.
      if (!always && before.accessExpires - Date.now() > SPARE_TIME) return { session: before, proof: undefined };
      const door = await this.#wallet();
      const reply = await this.#post(door, await instanceOf(remembered.keys), "/token", {
        grant_type: "refresh_token",
        client_id: this.platform.clientId,
        refresh_token: before.refreshToken,
        ...(nonce === undefined ? {} : { nonce }),
      });
      if (reply.status !== 200) throw errorOf(reply);
      const { wallet } = remembered;
      const tokens = await readTokens(reply.body, { issuer: door.issuer, clientId: this.platform.clientId, wallet });
      const session = { ...before, ...storedOf(tokens) };
      // Kept before anything else is looked at: the old refresh token is used up.
      await this.platform.storage.save({ ...remembered, session, issuer: door.issuer });
      if (tokens.subject !== before.subject) throw new HaloError("signed_out", { detail: "the subject changed" });
      if (nonce !== undefined && readJwt(tokens.proof).nonce !== nonce) throw protocolError("the nonce did not come back");
      this.#proof = tokens.proof;
      return { session, proof: tokens.proof };
    });
  }

  async #signOut(): Promise<void> {
    const remembered = await this.platform.storage.load();
    const refreshToken = remembered?.session?.refreshToken;
    this.#live?.stop();
    await this.#memory.dropSession();
    this.#end("signed_out");
    this.#channel.tell();
    if (remembered?.wallet === undefined || refreshToken === undefined) return;
    try {
      const instance = await instanceOf(remembered.keys);
      const known = { instance, wallet: remembered.wallet, issuer: remembered.issuer };
      await this.#revoke(await meetAgain(this.platform, known), instance, refreshToken);
    } catch {
      // The wallet does not run: the token is gone from here, and ends there by itself.
    }
  }

  #end(reason: SignedOutReason): void {
    this.#live?.stop();
    this.#live = undefined;
    this.#proof = undefined;
    this.#door = undefined;
    const session = this.#current;
    this.#current = undefined;
    if (!session) return;
    session._update("signed_out");
    this.#emit("state", "signed_out");
    this.#emit("signed-out", reason);
  }

  #setState(state: SessionState): void {
    const session = this.#current;
    if (!session || session.state === state) return;
    session._update(state);
    this.#emit("state", state);
  }

  #emit<Name extends keyof ClientEvents>(name: Name, value: ClientEvents[Name]): void {
    for (const listener of [...this.#listeners[name]]) listener(value);
  }

  // ---------------------------------------------------------------- the wallet and the memory

  /** The wallet this app knows, which has just proved that it is the one. */
  async #wallet(): Promise<Door> {
    if (this.#door) return this.#door;
    const { wallet, issuer, keys } = await this.#memory.recall();
    if (wallet === undefined) throw new HaloError("signed_out");
    this.#door = await meetAgain(this.platform, { instance: await instanceOf(keys), wallet, issuer });
    return this.#door;
  }

  async #doorOf(issuer: string): Promise<Door> {
    for await (const door of this.platform.doors(false, issuer)) {
      if (door.issuer === issuer) return door;
    }
    throw new HaloError("not_installed");
  }

  async #post(door: Door, instance: Instance, path: string, form: Record<string, string>): Promise<Reply> {
    return this.#lookAnew(post(door, instance, path, form));
  }

  /** A wallet that stopped answering is looked for anew next time. */
  async #lookAnew(sending: Promise<Reply>): Promise<Reply> {
    try {
      return await sending;
    } catch (error) {
      this.#door = undefined;
      throw error;
    }
  }

  async #revoke(door: Door, instance: Instance, token: string): Promise<void> {
    const client_id = this.platform.clientId;
    await this.#post(door, instance, "/revoke", { client_id, token, token_type_hint: "refresh_token" });
  }

  async #wish(): Promise<Wish> {
    const { name, scopes = ["profile"], identity = false } = this.#options;
    const scope = [...new Set(["openid", ...scopes, ...(identity ? ["halo:identity"] : [])])].join(" ");
    return { name, scope, remembered: await this.#memory.recall() };
  }
}

function storedOf(tokens: Tokens): StoredSession {
  const { accessToken, accessExpires, refreshToken, subject, identity, scope, name } = tokens;
  return { accessToken, accessExpires, refreshToken, subject, identity, scope, ...(name === undefined ? {} : { name }) };
}
