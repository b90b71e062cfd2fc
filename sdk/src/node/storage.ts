/**
 * Memory in a file, mode 0600.
 *
 * A program has no keys that cannot be read, so whoever reads this file is this app to the wallet: any program of the same
 * user. One process a file at a time.
 */

import { open, readFile, rename, rm } from "node:fs/promises";
import { importJWK, exportJWK, type JWK } from "jose";

import { queue, type HaloStorage, type Remembered } from "../core/storage.js";

interface OnDisk extends Omit<Remembered, "keys"> {
  keys: { publicKey: JWK; privateKey: JWK };
}

export function fileStorage(path: string): HaloStorage {
  return {
    exportable: true,
    exclusive: queue(),
    async load() {
      let text: string;
      try {
        text = await readFile(path, "utf8");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
      const { keys, ...rest } = JSON.parse(text) as OnDisk;
      const [publicKey, privateKey] = await Promise.all([
        importJWK(keys.publicKey, "ES256", { extractable: true }),
        importJWK(keys.privateKey, "ES256", { extractable: true }),
      ]);
      return { ...rest, keys: { publicKey, privateKey } as CryptoKeyPair };
    },
    async save(remembered) {
      if (!remembered) {
        await rm(path, { force: true });
        return;
      }
      const { keys, ...rest } = remembered;
      const onDisk: OnDisk = {
        ...rest,
        keys: { publicKey: await exportJWK(keys.publicKey), privateKey: await exportJWK(keys.privateKey) },
      };
      const fresh = `${path}.new`;
      await rm(fresh, { force: true });
      // Written beside its place and renamed, so that a crash leaves the old or the new one whole.
      const file = await open(fresh, "wx", 0o600);
      try {
        await file.writeFile(JSON.stringify(onDisk));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(fresh, path);
    },
  };
}
