import { Client, fromSocket } from "@dxos/client";
import { Filter, createSubscription, live } from "@dxos/client/echo";
import { TypedObject } from "@dxos/echo-schema";
import { Halo, HaloError } from "@halo-wallet/sdk";
import { fromHalo } from "@halo-wallet/sdk/dxos";
import { Schema } from "effect";

class Task extends TypedObject({ typename: "example.org/type/Task", version: "0.1.0" })({
  title: Schema.String,
  done: Schema.Boolean,
}) {}

const scopes = ["profile", "halo:spaces", "halo:spaces:write"];
const ports = new URLSearchParams(location.search).getAll("port").map(Number);
const halo = new Halo({ name: "Tasks", scopes, ...(ports.length > 0 ? { ports } : {}) });
const at = (id) => document.getElementById(id);

function show(view) {
  at("app").dataset.view = view;
  at("app").removeAttribute("aria-busy");
  at("welcome").hidden = view !== "signed-out";
  at("tasks").hidden = view !== "tasks";
}

function explain(error) {
  at("notice").hidden = false;
  at("notice").textContent = error instanceof HaloError ? `${error.message} ${error.next}` : error.message;
}

async function enter(session) {
  const client = new Client({ services: await fromHalo(session, fromSocket) });
  await client.initialize();
  client.addTypes([Task]);
  await client.spaces.waitUntilReady();
  const { db } = client.spaces.default;
  at("name").textContent = client.halo.identity.get()?.profile?.displayName ?? "somebody";
  at("add").onsubmit = async (event) => {
    event.preventDefault();
    const title = at("title").value;
    at("title").value = "";
    db.add(live(Task, { title, done: false }));
    await db.flush();
  };
  // A query tells which tasks there are; a subscription, when one of them changes.
  let tasks = [];
  const changes = createSubscription(() => list(db, tasks));
  db.query(Filter.type(Task)).subscribe(({ objects }) => {
    tasks = objects;
    changes.update(tasks);
    list(db, tasks);
  }, { fire: true });
  show("tasks");
}

function list(db, tasks) {
  at("none").hidden = tasks.length > 0;
  at("list").replaceChildren(
    ...tasks.map((task) => {
      const line = document.createElement("li");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: task.done, id: task.id });
      box.onchange = () => { task.done = box.checked; };
      const label = Object.assign(document.createElement("label"), { htmlFor: task.id, textContent: task.title });
      const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "Remove" });
      remove.onclick = () => { db.remove(task); };
      line.append(box, label, remove);
      return line;
    }),
  );
}

at("sign-in").addEventListener("click", () => {
  halo.signIn().then(enter).catch(explain);
});
at("sign-out").addEventListener("click", async () => (await halo.session())?.signOut());
halo.on("signed-out", () => { location.reload(); });

try {
  const session = await halo.session();
  if (session) await enter(session);
  else show("signed-out");
} catch (error) {
  show("signed-out");
  explain(error);
}
