import { Halo, HaloError } from "@halo-wallet/sdk";

const NOTE = "example.org/type/Note:0.1.0";
const halo = new Halo({ name: "Notes", scopes: ["profile", "halo:spaces", "halo:spaces:write"] });

const at = (id) => document.getElementById(id);
let items;
let live;
let open;

function explain(error) {
  at("notice").hidden = false;
  at("notice").textContent = error instanceof HaloError ? `${error.message} ${error.next}` : error.message;
}

/** Runs what a click asks for, and says so if it does not work. */
const does = (work) => async (event) => {
  at("notice").hidden = true;
  try {
    await work(event);
  } catch (error) {
    explain(error);
  }
};

function show(view) {
  at("app").dataset.view = view;
  at("app").removeAttribute("aria-busy");
  at("welcome").hidden = view !== "signed-out";
  at("notes").hidden = view !== "notes";
}

async function enter(session) {
  items = (await session.spaces.default()).items;
  show("notes");
  list();
}

/** Follows the notes that the search finds. */
function list() {
  const text = at("search").value.trim();
  live?.stop();
  live = items.watch({ type: NOTE, ...(text ? { text } : {}) }, (found) => {
    at("none").hidden = found.length > 0 || text !== "";
    at("list").replaceChildren(...found.toReversed().map(entry));
  }, explain);
}

function entry(note) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.note = note.id;
  button.textContent = note.data.body.trim().split("\n")[0] || "Empty note";
  if (note.id === open?.id) button.setAttribute("aria-current", "true");
  button.addEventListener("click", does(() => edit(note.id)));
  const line = document.createElement("li");
  line.append(button);
  return line;
}

async function edit(id) {
  open?.text.close();
  open = undefined;
  // Nothing is typed into the note before while the next one comes.
  at("editor").hidden = true;
  at("pick").hidden = id !== undefined;
  for (const button of at("list").querySelectorAll("button")) {
    button.toggleAttribute("aria-current", button.dataset.note === id);
  }
  if (id === undefined) return;
  const text = await items.text(id, "body");
  open = { id, text };
  const body = at("body");
  body.value = text.value;
  at("editor").hidden = false;
  body.focus();
  // What somebody else types comes in around the cursor.
  text.onChange((value) => {
    if (body.value === value) return;
    const before = body.value;
    let { selectionStart, selectionEnd } = body;
    let same = 0;
    while (same < before.length && before[same] === value[same]) same += 1;
    const grown = value.length - before.length;
    if (same < selectionStart) [selectionStart, selectionEnd] = [selectionStart + grown, selectionEnd + grown];
    body.value = value;
    body.setSelectionRange(selectionStart, selectionEnd);
  });
}

at("body").addEventListener("input", does(() => open?.text.set(at("body").value)));
at("search").addEventListener("input", () => { list(); });
at("new").addEventListener("click", does(async () => {
  await edit(undefined);
  await edit((await items.create(NOTE, { body: "" })).id);
}));
at("undo").addEventListener("click", does(() => items.undo()));
at("delete").addEventListener("click", does(async () => {
  await items.delete(open.id);
  await edit(undefined);
}));
at("sign-in").addEventListener("click", does(async () => enter(await halo.signIn())));
at("sign-out").addEventListener("click", does(async () => (await halo.session())?.signOut()));

halo.on("signed-out", () => {
  live?.stop();
  open?.text.close();
  open = undefined;
  show("signed-out");
});

try {
  const session = await halo.session();
  if (session) await enter(session);
  else show("signed-out");
} catch (error) {
  show("signed-out");
  explain(error);
}
