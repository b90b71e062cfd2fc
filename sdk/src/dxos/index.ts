/**
 * `@dxos/client`, with the user's own wallet as its services.
 *
 * @example
 * import { Client, fromSocket } from "@dxos/client";
 * const client = new Client({ services: fromHalo(session, fromSocket) });
 */

import type { Session } from "../core/session.js";

/**
 * What `new Client({ services })` takes. `fromSocket` is the one of `@dxos/client`, whichever version the app has; it is
 * given a token that opens one connection. Make a new client after the connection was lost.
 *
 * The session needs the scopes `halo:spaces` and, to write, `halo:spaces:write`.
 */
export async function fromHalo<T>(session: Session, fromSocket: (url: string, token: string) => T): Promise<Awaited<T>> {
  const { url, token } = await session._ticket();
  return await fromSocket(url, token);
}
