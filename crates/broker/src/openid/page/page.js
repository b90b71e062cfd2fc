// Asks the wallet how things stand, and goes back to the app when the user has answered.
const main = document.querySelector("main");
const status = document.getElementById("status");
const words = {
  waiting: "Waiting for your answer in the HALO window…",
  locked: "HALO is locked. Unlock it, and this page goes on by itself.",
  no_identity: "There is no identity in HALO yet. Create one, and this page goes on by itself.",
  done: "Done. Going back to the app…",
};
const gone = "This request is over. Go back to the app and try again.";
const away = "HALO does not answer. Start it, then go back to the app and try again.";

function say(text) {
  if (status.textContent !== text) status.textContent = text;
}

async function ask(seen) {
  const query = new URLSearchParams({ request: main.dataset.request, seen });
  const response = await fetch(`/authorize/status?${query}`, { cache: "no-store" });
  if (!response.ok) return null;
  return response.json();
}

async function follow() {
  let seen = "waiting";
  let failures = 0;
  while (failures < 5) {
    try {
      const answer = await ask(seen);
      if (answer === null) return say(gone);
      failures = 0;
      seen = answer.state;
      say(words[seen] ?? words.waiting);
      if (answer.redirect) return location.replace(answer.redirect);
    } catch {
      failures += 1;
      await new Promise((resolve) => setTimeout(resolve, 500 * failures));
    }
  }
  say(away);
}

follow();
