/** What a React app wants of HALO: the session, and items that follow what is written. */

import { useEffect, useState } from "react";

import type { Client } from "../core/client.js";
import type { HaloError } from "../core/errors.js";
import type { Session, SessionState } from "../core/session.js";
import type { Data, Item, ItemQuery, Space } from "../core/spaces.js";

/** The session of this app and its state; `undefined` until there is one. Re-renders when the user signs out or locks. */
export function useSession(halo: Client): { session: Session | undefined; state: SessionState | undefined } {
  const [session, setSession] = useState<Session>();
  const [state, setState] = useState<SessionState>();
  useEffect(() => {
    const look = () => {
      halo.session().then(
        (found) => {
          setSession(found);
          setState(found?.state);
        },
        () => { setSession(undefined); },
      );
    };
    look();
    return halo.on("state", look);
  }, [halo]);
  return { session, state };
}

/** What a query finds, as it is now; `undefined` until the first answer. */
export function useItems<T extends Data>(
  space: Space | undefined,
  query: ItemQuery,
): { items: Item<T>[] | undefined; error: HaloError | undefined } {
  const [items, setItems] = useState<Item<T>[]>();
  const [error, setError] = useState<HaloError>();
  const key = JSON.stringify(query);
  useEffect(() => {
    setItems(undefined);
    setError(undefined);
    const live = space?.items.watch<T>(JSON.parse(key) as ItemQuery, setItems, setError);
    return () => live?.stop();
  }, [space, key]);
  return { items, error };
}
