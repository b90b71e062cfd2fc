/**
 * Finding HALO from a program: the discovery file in the wallet's run-time directory.
 *
 * The directory belongs to this user alone, so what stands there was written by a program of this user.
 */

import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

import { HaloError, protocolError } from "../core/errors.js";
import { objectOf } from "../core/door.js";

export interface Discovered {
  /** The issuer. */
  url: string;
  /** Unix socket, by which the kernel tells the wallet who asks. */
  socket: string | undefined;
}

/** The profile that HALO uses if nobody names another. */
export function defaultProfile(env: NodeJS.ProcessEnv = process.env): string {
  if (env.HALO_PROFILE) return env.HALO_PROFILE;
  if (process.platform === "darwin") return join(homedir(), "Library", "Application Support", "halo");
  if (process.platform === "win32") return join(env.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "halo");
  const data = env.XDG_DATA_HOME;
  return join(data && isAbsolute(data) ? data : join(homedir(), ".local", "share"), "halo");
}

/** Where the wallet of a profile puts its sockets. */
export async function runtimeDir(profile: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const absolute = resolve(profile);
  const base = env.XDG_RUNTIME_DIR;
  if (!base || !isAbsolute(base) || !(await isDirectory(base))) return join(absolute, "run");
  return join(base, "halo", createHash("sha256").update(absolute).digest("hex").slice(0, 8));
}

/** Reads `broker.json`. */
export async function discover(dir: string): Promise<Discovered> {
  let text: string;
  try {
    text = await readFile(join(dir, "broker.json"), "utf8");
  } catch (cause) {
    throw new HaloError("not_installed", { cause });
  }
  const { url, socket } = objectOf(text);
  if (typeof url !== "string" || !/^http:\/\/127\.0\.0\.1:\d+$/.test(url)) throw protocolError("broker.json names no address");
  return { url, socket: typeof socket === "string" && process.platform !== "win32" ? socket : undefined };
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
