// An app that was approved: a wallet, a grant, a token.

import { Wallet } from "../clients/wallet.mjs";

export { Wallet };

const form = (fields) => ({ method: "POST", body: new URLSearchParams(fields) });

/** Asks for access in the background, has the user approve it, and returns the access token. */
export async function signIn(wallet, app = "org.example.tasks", scope = "openid profile halo:spaces halo:spaces:write") {
  const asked = await (
    await fetch(`${wallet.issuer}/bc-authorize`, form({ client_id: app, scope, login_hint: "tests" }))
  ).json();
  if (asked.error) throw new Error(`${asked.error}: ${asked.error_description}`);
  await wallet.approve(await wallet.request());
  for (;;) {
    const answer = await (
      await fetch(
        `${wallet.issuer}/token`,
        form({ grant_type: "urn:openid:params:grant-type:ciba", auth_req_id: asked.auth_req_id, client_id: app }),
      )
    ).json();
    if (answer.access_token) return answer.access_token;
    if (answer.error !== "authorization_pending") throw new Error(`${answer.error}: ${answer.error_description}`);
    await new Promise((resolve) => setTimeout(resolve, asked.interval * 1000));
  }
}

/** Where the wallet serves DXOS apps. */
export const services = (wallet) => `${wallet.issuer.replace("http", "ws")}/dxos`;

/** `SpaceState.SPACE_INITIALIZING` */
const OPENING = 4;

/** Ends a client. One that is ended while it opens a space waits for that space forever (0.8.3), so it finishes that first. */
export async function leave(client) {
  const opening = client.initialized ? client.spaces.get().filter((space) => space.state.get() === OPENING) : [];
  await Promise.all(opening.map((space) => space.waitUntilReady()));
  await client.destroy();
}
