// An app without a page: the SDK's client on a platform that a test holds in its hands.

import { Client } from "../dist/core/client.js";
import { memoryStorage } from "../dist/core/storage.js";

class App extends Client {
  signIn(options = {}) {
    return this.signInByBackChannel(options);
  }
  leave(options = {}) {
    return this.prepareRedirect("https://app.example/back", options);
  }
  comeBack(answer) {
    return this.finishRedirect(new URLSearchParams(answer));
  }
}

/** `wallets` may be changed while the app runs: they are what answers on the ports, in order. */
export function makeApp({ wallets, storage = memoryStorage(), options = {} }) {
  const app = { wallets, storage, shown: [], wake: () => undefined, events: [] };
  const platform = {
    clientId: "https://app.example",
    storage,
    async *doors(_asked, first) {
      const up = app.wallets.filter((wallet) => !wallet.down);
      up.sort((a, b) => Number(b.issuer === first) - Number(a.issuer === first));
      if (up.length === 0) throw new (await import("../dist/core/errors.js")).HaloError("not_installed");
      for (const wallet of up) yield wallet.door();
    },
    show(notice) {
      app.shown.push(notice);
      return { read: Promise.resolve(), close: () => app.shown.pop() };
    },
    onAwake(callback) {
      app.wake = callback;
      return () => undefined;
    },
    channel: () => ({ tell: () => undefined, close: () => undefined }),
  };
  app.halo = new App(platform, { name: "Test", ...options });
  app.halo.on("signed-out", (reason) => app.events.push(`signed-out ${reason}`));
  app.halo.on("state", (state) => app.events.push(state));
  app.next = (name) =>
    new Promise((resolve) => {
      const stop = app.halo.on(name, (value) => {
        stop();
        resolve(value);
      });
    });
  return app;
}
