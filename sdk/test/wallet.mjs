// A wallet in memory: the broker's half of the protocol, as far as the SDK sees it, with faults to switch on.

import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, importJWK, jwtVerify, SignJWT } from "jose";
import { createHash, randomBytes } from "node:crypto";

import { transcriptWords } from "../dist/core/contact.js";

const b64 = (bytes) => Buffer.from(bytes).toString("base64url");
const sha = (bytes) => createHash("sha256").update(bytes).digest();
const token = () => b64(randomBytes(24));
const ok = (body, status = 200) => ({ status, body });
const no = (error, description = "", status = 400) => ({ status, body: { error, error_description: description } });

export async function makeWallet({ issuer = "http://127.0.0.1:47110", clientId = "https://app.example" } = {}) {
  const { privateKey, publicKey } = await generateKeyPair("Ed25519", { extractable: true });
  const alias = await generateKeyPair("Ed25519", { extractable: true });
  const jwk = await exportJWK(publicKey);
  const wallet = new Wallet(issuer, clientId, privateKey, jwk, alias);
  wallet.subject = "did:key:zAlias";
  return wallet;
}

export class Wallet {
  locked = false;
  answer = "approve"; // or "wait", or an error of the token endpoint
  hello = "honest"; // or "silent", "forged"
  name = "Ada";
  asked = [];
  calls = [];
  lines = new Set();
  instances = new Set();
  #requests = new Map();
  #refresh = new Map();
  #access = new Map();
  #seen = new Set();

  constructor(issuer, clientId, key, jwk, alias) {
    Object.assign(this, { issuer, clientId, key, jwk, alias });
  }

  /** The way in, as the SDK's platform hands it out. */
  door() {
    return {
      issuer: this.issuer,
      send: async (ask) => {
        if (this.down) throw new TypeError("fetch failed");
        this.calls.push(ask.path);
        return structuredClone(await this.#take(ask));
      },
      listen: async (path, events) => {
        if (this.down) throw new TypeError("refused");
        const line = { closed: false, ...events };
        this.lines.add(line);
        const end = () => {
          if (!this.lines.delete(line)) return;
          queueMicrotask(() => events.closed());
        };
        return {
          close: end,
          send: (text) => {
            void this.#greet(JSON.parse(text)).then((type) => {
              events.text(JSON.stringify({ type }));
              if (type !== "ready") end();
              else this.onReady?.();
            });
          },
        };
      },
    };
  }

  /** What the user does in the window. */
  tell(type) {
    for (const line of [...this.lines]) {
      line.text(JSON.stringify({ type }));
      this.lines.delete(line);
      line.closed();
    }
  }
  revoke() {
    this.instances.clear();
    this.#refresh.clear();
    this.#access.clear();
    this.tell("revoked");
  }
  lock() {
    this.locked = true;
    this.#access.clear();
    this.tell("locked");
  }
  restart() {
    this.#access.clear();
    for (const line of [...this.lines]) {
      this.lines.delete(line);
      line.closed();
    }
  }

  async #greet({ type, access_token, dpop }) {
    if (type !== "hello" || (await this.#instance(dpop, "GET", "/halo")) === undefined) return "invalid_request";
    if (this.locked) return "locked";
    return this.#access.has(access_token) ? "ready" : "invalid_token";
  }

  async #instance(proof, method, path) {
    if (!proof || this.#seen.has(proof)) return undefined;
    this.#seen.add(proof);
    const { jwk, typ } = decodeProtectedHeader(proof);
    const { payload } = await jwtVerify(proof, await importJWK(jwk, "ES256"));
    const right = typ === "dpop+jwt" && payload.htm === method && payload.htu === this.issuer + path;
    return right ? calculateJwkThumbprint(jwk) : undefined;
  }

  async #take({ method, path, headers = {}, form, json }) {
    const instance = await this.#instance(headers.DPoP, method, path);
    if (instance === undefined) return no("invalid_dpop_proof");
    if (this.locked) return no("locked", "the wallet is locked", 503);
    switch (path) {
      case "/halo/hello": {
        if (!this.instances.has(instance)) return no("unknown_instance", "", 404);
        if (this.hello === "silent") return ok({});
        const nonce = this.hello === "forged" ? "another" : json.challenge;
        return ok({ token: await this.#sign("halo-hello+jwt", { nonce }) });
      }
      case "/bc-authorize":
      case "/par":
        return this.#ask(path, form, instance);
      case "/halo/reveal": {
        const request = this.#requests.get(json.request_id);
        if (b64(sha(json.app_nonce)) !== request.form.halo_commitment) return no("invalid_request");
        const { walletCommitment, walletNonce } = request;
        const said = [this.clientId, instance, json.app_nonce, walletCommitment, walletNonce, json.request_id];
        request.words = await transcriptWords(said);
        this.asked.push({ ...request });
        return ok({ request_id: json.request_id });
      }
      case "/token":
        return this.#token(form, instance);
      case "/userinfo": {
        const session = this.#access.get(headers.Authorization?.replace(/^DPoP /, ""));
        return session ? ok({ sub: this.subject, name: this.name }) : no("invalid_token", "", 401);
      }
      case "/revoke":
        this.#refresh.delete(form.token);
        return ok({});
      default:
        return no("not_found", "", 404);
    }
  }

  async #ask(path, form, instance) {
    if (this.refuse) return no(this.refuse);
    const id = token();
    const request = { id, form, instance };
    this.#requests.set(id, request);
    const reply = path === "/par" ? { request_uri: `urn:ietf:params:oauth:request_uri:${id}` } : { auth_req_id: id, interval: 0.01 };
    if (form.halo_commitment) {
      request.salt = randomBytes(32);
      const thumbprint = Buffer.from(await calculateJwkThumbprint(this.jwk), "base64url");
      request.walletCommitment = b64(sha(Buffer.concat([request.salt, thumbprint])));
      request.walletNonce = token();
      Object.assign(reply, { request_id: id, halo_wallet_commitment: request.walletCommitment, halo_wallet_nonce: request.walletNonce });
    }
    return ok({ ...reply, expires_in: 60 }, path === "/par" ? 201 : 200);
  }

  /** The code that the approval page would send back. */
  codeOf(requestUri) {
    return requestUri.replace("urn:ietf:params:oauth:request_uri:", "");
  }

  async #token(form, instance) {
    if (form.grant_type === "refresh_token") {
      if (!this.#refresh.delete(form.refresh_token)) {
        this.#refresh.clear();
        return no("invalid_grant");
      }
      await this.beforeRefresh?.();
      return ok(await this.#tokens(form.nonce));
    }
    const request = this.#requests.get(form.auth_req_id ?? form.code);
    if (!request || request.instance !== instance) return no("invalid_grant");
    if (request.form.code_challenge && b64(sha(form.code_verifier)) !== request.form.code_challenge) return no("invalid_grant");
    if (this.answer === "wait") return no("authorization_pending");
    if (this.answer !== "approve") return no(...this.answer);
    this.instances.add(instance);
    const tokens = await this.#tokens(request.form.nonce);
    if (!request.salt) return ok(tokens);
    return ok({ ...tokens, halo_wallet_key: this.shownKey ?? this.jwk, halo_wallet_salt: b64(request.salt) });
  }

  async #tokens(nonce) {
    const access_token = token();
    const refresh_token = token();
    this.#access.set(access_token, true);
    this.#refresh.set(refresh_token, true);
    const id_token = await this.#sign("JWT", { sub: this.subject, nonce, name: this.name });
    const proof = await new SignJWT({ nonce, name: this.name })
      .setProtectedHeader({ alg: "EdDSA", typ: "halo-proof+jwt", kid: `${this.subject}#zAlias` })
      .setIssuer(this.subject)
      .setSubject(this.subject)
      .setAudience(this.clientId)
      .setIssuedAt()
      .setExpirationTime("5m")
      .sign(this.alias.privateKey);
    return { access_token, refresh_token, id_token, proof, token_type: "DPoP", expires_in: this.life ?? 600, scope: "openid profile" };
  }

  async #sign(typ, claims) {
    return new SignJWT(claims)
      .setProtectedHeader({ alg: "EdDSA", typ })
      .setIssuer(this.issuer)
      .setAudience(this.clientId)
      .setIssuedAt()
      .setExpirationTime("5m")
      .sign(this.signingKey ?? this.key);
  }
}

export { decodeJwt };
