/**
 * Memory in IndexedDB, which can keep a key that nobody can read, not even this page.
 *
 * Another tab may refresh the session at the same moment, so changes are made under a lock over all tabs.
 */

import { HaloError } from "../core/errors.js";
import { queue, type HaloStorage, type Remembered } from "../core/storage.js";

const STORE = "app";
const KEY = "remembered";

export function pageStorage(database = "halo"): HaloStorage {
  const ownTurn = queue();
  return {
    async load() {
      const value: unknown = await transact(database, "readonly", (store) => store.get(KEY));
      return isRemembered(value) ? value : undefined;
    },
    async save(remembered) {
      await transact(database, "readwrite", (store) => (remembered ? store.put(remembered, KEY) : store.delete(KEY)));
    },
    exclusive<T>(work: () => Promise<T>): Promise<T> {
      const locks = (navigator as { locks?: LockManager }).locks;
      // `request` is typed to return what the callback's promise holds, wrapped once more.
      return locks ? (locks.request(`${database}:remembered`, work)) : ownTurn(work);
    },
  };
}

function isRemembered(value: unknown): value is Remembered {
  return typeof value === "object" && value !== null && (value as { version?: unknown }).version === 1;
}

async function transact(
  name: string,
  mode: IDBTransactionMode,
  act: (store: IDBObjectStore) => IDBRequest,
): Promise<unknown> {
  const database = await open(name);
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode, { durability: "strict" });
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => { resolve(request.result); };
      transaction.onabort = () => { reject(new HaloError("unsupported", { cause: transaction.error })); };
    });
  } finally {
    database.close();
  }
}

function open(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => { request.result.createObjectStore(STORE); };
    request.onsuccess = () => { resolve(request.result); };
    request.onerror = () => { reject(new HaloError("unsupported", { cause: request.error })); };
  });
}
