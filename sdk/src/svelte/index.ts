/** What a Svelte app wants of HALO: stores, to be read with `$` in any version of Svelte. */

import type { Client } from "../core/client.js";
import type { Session } from "../core/session.js";
import type { Data, Item, ItemQuery, Space } from "../core/spaces.js";

/** Svelte's store contract. */
export interface Store<T> {
  subscribe(run: (value: T) => void): () => void;
}

/** The session of this app; `undefined` until there is one, and when it is over. Told again whenever its state changes. */
export function sessionStore(halo: Client): Store<Session | undefined> {
  return {
    subscribe(run) {
      run(undefined);
      const look = () => {
        halo.session().then(run, () => { run(undefined); });
      };
      look();
      return halo.on("state", look);
    },
  };
}

/** What a query finds, as it is now; `undefined` until the first answer. */
export function itemsStore<T extends Data>(space: Space, query: ItemQuery): Store<Item<T>[] | undefined> {
  return {
    subscribe(run) {
      run(undefined);
      const live = space.items.watch<T>(query, run);
      return () => { live.stop(); };
    },
  };
}
