import { Halo, HaloError } from "@halo-wallet/sdk";

const wishes = new URLSearchParams(location.search);
const identity = wishes.has("identity");
const mode = wishes.has("redirect") ? "redirect" : "back-channel";
const halo = new Halo({ name: "Hello", identity });

const at = (id) => document.getElementById(id);

function show(view) {
  at("app").dataset.view = view;
  at("app").removeAttribute("aria-busy");
  for (const section of document.querySelectorAll("[data-for]")) section.hidden = section.dataset.for !== view;
}

function notify(message, next = "", { code = "", tone = "bad" } = {}) {
  at("notice").hidden = message === "";
  at("notice").dataset.tone = tone;
  at("notice").dataset.code = code;
  at("notice-message").textContent = message;
  at("notice-next").textContent = next;
  at("forget").hidden = code !== "wallet_changed";
}

function explain(error) {
  if (!(error instanceof HaloError)) return notify("That did not work.", error.message);
  notify(error.message, error.next, { code: error.code, tone: error.code === "cancelled" ? "plain" : "bad" });
}

async function ask(path, body) {
  const response = await fetch(path, body ? { method: "POST", body: JSON.stringify(body) } : {});
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

/** Shows who is signed in, and has the backend verify it. */
async function greet(session, nonce) {
  at("name").textContent = session.name ?? "friend";
  at("picture").hidden = session.picture === undefined;
  at("picture").src = session.picture ?? "";
  at("kind").textContent = session.identity ? "known by your identity" : "known by an alias that only this app sees";
  at("subject").textContent = session.subject;
  verdict("waiting", "asking the backend…");
  show("signed-in");
  if (session.state !== "active") {
    verdict("waiting", session.state === "locked" ? "HALO is locked" : "HALO does not run");
    return;
  }
  try {
    const fresh = nonce ?? (await ask("/nonce")).nonce;
    const verified = await ask("/sign-in", { proof: await session.proof(fresh), nonce: fresh });
    if (verified.subject !== session.subject) throw new Error("The backend sees somebody else.");
    verdict("verified", "✓ verified by the backend");
  } catch (error) {
    verdict("waiting", "not verified");
    explain(error);
  }
}

function verdict(kind, text) {
  at("verdict").dataset.verdict = kind;
  at("verdict").textContent = text;
}

at("sign-in").addEventListener("click", async () => {
  at("sign-in").disabled = true;
  notify("");
  try {
    const { nonce } = await ask("/nonce");
    await greet(await halo.signIn({ mode, nonce }), nonce);
  } catch (error) {
    explain(error);
  } finally {
    at("sign-in").disabled = false;
  }
});

at("sign-out").addEventListener("click", async () => {
  const session = await halo.session();
  await session?.signOut();
});

at("forget").addEventListener("click", async () => {
  await halo.forget();
  notify("The old wallet is forgotten.", "Sign in again and compare the words.", { tone: "plain" });
});

halo.on("signed-out", (reason) => {
  show("signed-out");
  const words = { revoked: "You ended this app's access in HALO.", expired: "The session ended.", wallet_changed: "Another wallet answers." };
  notify(words[reason] ?? "", "", { code: reason, tone: "plain" });
});

halo.on("state", async (state) => {
  const session = await halo.session();
  if (!session || state === "signed_out" || at("app").dataset.view !== "signed-in") return;
  if (state === "active") await greet(session);
  else verdict("waiting", state === "locked" ? "HALO is locked" : "HALO does not run");
});

at(identity ? "way-identity" : mode === "redirect" ? "way-redirect" : "way-alias").setAttribute("aria-current", "page");

try {
  const session = (await halo.completeRedirect()) ?? (await halo.session());
  if (session) await greet(session);
  else show("signed-out");
} catch (error) {
  show("signed-out");
  explain(error);
}
