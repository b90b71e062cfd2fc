/**
 * The SDK's own dialog: three words to look for in HALO, or just the wait.
 *
 * It lives in a shadow root, so that the page's styles do not reach it, and uses a modal `<dialog>`: focus stays inside,
 * and Escape cancels.
 */

import type { Notice, Shown } from "../core/platform.js";
import type { Words } from "../core/words.js";

const STYLE = `
  dialog { all: revert; box-sizing: border-box; width: min(26rem, calc(100vw - 2rem)); padding: 1.75rem; border: 1px solid var(--edge);
    border-radius: 1rem; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
    box-shadow: 0 1.25rem 3.5rem rgb(0 0 0 / 30%); --ground: #fff; --ink: #17181c; --soft: #565a66; --edge: #d9dbe1; --word: #f1f2f6;
    --accent: #3b4ad0; --on-accent: #fff; }
  dialog::backdrop { background: rgb(16 18 28 / 55%); }
  h2 { margin: 0 0 .5rem; font-size: 1.2rem; line-height: 1.3; }
  h2:focus { outline: none; }
  p { margin: 0 0 1.1rem; color: var(--soft); }
  ol { display: grid; gap: .5rem; margin: 0 0 1.25rem; padding: 0; list-style: none; }
  li { padding: .55rem .9rem; border-radius: .6rem; background: var(--word); font-size: 1.3rem; font-weight: 600; letter-spacing: .01em; }
  .wait { display: flex; gap: .6rem; align-items: center; }
  .wait::before { content: ""; flex: none; width: .6rem; height: .6rem; border-radius: 50%; background: var(--accent);
    animation: breathe 1.6s ease-in-out infinite; }
  @keyframes breathe { 50% { opacity: .25; } }
  .row { display: flex; gap: .6rem; justify-content: flex-end; }
  button { all: revert; min-height: 2.6rem; padding: 0 1.1rem; border: 1px solid var(--edge); border-radius: .6rem; background: transparent;
    color: var(--ink); font: inherit; cursor: pointer; }
  button.go { border-color: transparent; background: var(--accent); color: var(--on-accent); font-weight: 600; }
  button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
  @media (prefers-color-scheme: dark) {
    dialog { --ground: #1d1f27; --ink: #f2f3f7; --soft: #b3b7c4; --edge: #3a3d4a; --word: #2a2d39; --accent: #9aa5ff; --on-accent: #14161e; }
  }
  @media (prefers-reduced-motion: reduce) { .wait::before { animation: none; } }
`;

/** What a dialog says. */
interface Content {
  heading: string;
  about: string;
  words?: Words | undefined;
  /** What goes on meanwhile. */
  wait?: string;
  cancel?: () => void;
  /** Offers to go on. */
  go?: true;
}

/** Words to pick, or the wait for an approval. */
export function showNotice(name: string, { words, leaving, cancel }: Notice): Shown {
  return showDialog({
    heading: words ? "Pick these words in HALO" : "Approve this in HALO",
    about: words
      ? `HALO shows four groups of three words. Pick the one that ${name} shows here. If none is the same, deny the request.`
      : `${name} asks you to sign in. The request waits in the HALO window.`,
    words,
    cancel,
    ...(leaving ? { go: true } : { wait: "Waiting for your answer in HALO…" }),
  });
}

/** Says what the browser is about to ask, while it asks. */
export function showPermissionHint(name: string): Shown {
  return showDialog({
    heading: "Allow access to apps on this device",
    about: `Your browser asks whether this page may reach apps on this device. HALO is one: ${name} cannot find it otherwise.`,
    wait: "Waiting for your answer in the browser…",
  });
}

function showDialog(content: Content): Shown {
  const host = document.createElement("div");
  host.dataset.halo = "";
  const root = host.attachShadow({ mode: "open" });
  const style = new CSSStyleSheet();
  style.replaceSync(STYLE);
  root.adoptedStyleSheets = [style];

  const heading = element("h2", content.heading);
  heading.id = "heading";
  heading.tabIndex = -1;
  const about = element("p", content.about);
  about.id = "about";
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", heading.id);
  dialog.setAttribute("aria-describedby", about.id);
  dialog.append(heading, about);
  if (content.words) {
    const list = document.createElement("ol");
    list.setAttribute("aria-label", "The three words");
    list.append(...content.words.map((word) => element("li", word)));
    dialog.append(list);
  }
  if (content.wait !== undefined) {
    const wait = element("p", content.wait);
    wait.className = "wait";
    wait.setAttribute("role", "status");
    dialog.append(wait);
  }

  let finish: () => void = () => undefined;
  const read = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const close = () => {
    dialog.close();
    host.remove();
  };
  const cancel = () => {
    close();
    content.cancel?.();
  };
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    cancel();
  });
  const row = document.createElement("div");
  row.className = "row";
  if (content.cancel) row.append(button("Cancel", cancel));
  if (content.go) {
    const go = button("Continue", () => {
      finish();
    });
    go.className = "go";
    row.append(go);
  }
  if (row.childElementCount > 0) dialog.append(row);
  root.append(dialog);
  document.body.append(host);
  dialog.showModal();
  heading.focus();
  return { read, close };
}

function element<Tag extends "h2" | "p" | "li">(tag: Tag, text: string): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function button(text: string, act: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}
