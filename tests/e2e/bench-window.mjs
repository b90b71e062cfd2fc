// How long the window takes to paint, and how long a request takes to be in front of the user. One JSON row a
// figure on standard output; `cargo xtask bench start login` reads them. Run with `npm run bench`.

import { readFileSync } from 'node:fs';

import { application, Desktop, processes } from './lib/desktop.mjs';
import { until } from './lib/until.mjs';

const STARTS = 7;
const REQUESTS = 9;

/** When the newest process of the app began, in milliseconds since the epoch, to 10 ms. */
function startOfApp() {
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
  const booted = Date.now() - uptime;
  const starts = processes(application()).map((pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Field 22, counted behind the name, which may contain anything (proc(5)); in ticks of 10 ms.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]) * 10;
  });
  return booted + Math.max(...starts);
}

const median = (figures) => figures.sort((a, b) => a - b)[Math.floor(figures.length / 2)];
const row = (name, figures) => console.log(JSON.stringify({ name, ours: Math.round(median(figures)), unit: 'ms' }));

/** From the start of the process to the first text or picture on the screen. */
async function firstPaint(desktop) {
  const painted = await until('a first paint', () => desktop.session.execute(
    `const paint = performance.getEntriesByName('first-contentful-paint')[0];
     return paint && performance.timeOrigin + paint.startTime;`,
  ));
  return painted - startOfApp();
}

/** From a request of a native program to the prompt, visible and painted. */
async function promptInFront(desktop, broker) {
  const seen = desktop.session.executeLater(
    `const done = arguments[0];
     const look = () => {
       if (document.visibilityState !== 'visible' || !document.querySelector('[role="alertdialog"]')) return;
       observer.disconnect();
       document.removeEventListener('visibilitychange', look);
       requestAnimationFrame(() => requestAnimationFrame(() => done(performance.timeOrigin + performance.now())));
     };
     const observer = new MutationObserver(look);
     observer.observe(document.body, { childList: true, subtree: true });
     document.addEventListener('visibilitychange', look);
     look();`,
  );
  const asked = Date.now();
  const answer = await fetch(`${broker}/bc-authorize`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: 'bench', scope: 'openid', login_hint: 'bench', binding_message: 'bench' }),
  });
  if (!answer.ok) throw new Error(`the broker answered ${answer.status}: ${await answer.text()}`);
  const taken = (await seen) - asked;
  const { requests } = await desktop.snapshot();
  await until('the request to be approved', async () => {
    const { error } = await desktop.session.invoke('approve', { id: requests[0].id, approval: {} });
    if (error && error.code !== 'wallet.too_soon') throw new Error(JSON.stringify(error));
    return !error;
  });
  await until('the prompt to go', () => desktop.session.execute(`return document.visibilityState === 'hidden'`));
  return taken;
}

const desktop = await Desktop.start();
try {
  const { error } = await desktop.session.invoke('create_identity', { name: 'Bench', keychain: 'os' });
  if (error) throw new Error(JSON.stringify(error));
  const paints = [];
  for (let turn = 0; turn < STARTS; turn += 1) {
    await desktop.relaunch();
    paints.push(await firstPaint(desktop));
  }
  row('start: first paint of the window', paints);
  const { broker_url: broker } = await until('the broker', async () => {
    const snapshot = await desktop.snapshot();
    return snapshot.broker_url && snapshot;
  });
  await desktop.session.switchTo('approval.html');
  const prompts = [];
  for (let turn = 0; turn < REQUESTS; turn += 1) prompts.push(await promptInFront(desktop, broker));
  row('login: prompt in front after the request', prompts);
} finally {
  await desktop.end();
}
