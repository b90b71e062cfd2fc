/**
 * Whether the browser lets this page talk to programs on this machine.
 *
 * Chromium asks the user before a page of the internet may (Local Network Access; 142 for fetch, 147 for WebSocket). Other
 * browsers have no such question, and pages from this machine are exempt.
 */

import { HaloError } from "../core/errors.js";

/** Names the permission has had, newest first. */
const NAMES = ["loopback-network", "local-network-access", "local-network"];

export async function localNetwork(): Promise<PermissionStatus | undefined> {
  for (const name of NAMES) {
    try {
      return await navigator.permissions.query({ name: name as PermissionName });
    } catch {
      // Not a name this browser knows.
    }
  }
  return undefined;
}

/** Whether this page comes from this machine, so that no browser asks. */
export function isLocalPage(location: Location): boolean {
  const host = location.hostname;
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Throws if no request can succeed from here, whatever the user does in HALO. */
export function requireUsablePage(): void {
  if (!window.isSecureContext || location.origin === "null") throw new HaloError("insecure_page");
  if (window.top !== window.self) throw new HaloError("in_iframe");
  // Absent in some private windows and embedded views.
  if (!("indexedDB" in window) || !("subtle" in crypto)) throw new HaloError("unsupported");
}

/** Safari takes requests to 127.0.0.1 from secure pages for mixed content, and says so to nobody. */
export function blocksMixedLoopback(): boolean {
  const agent = navigator.userAgent;
  return location.protocol === "https:" && agent.includes('Safari/') && !/Chrom(e|ium)\/|Android/.test(agent);
}
