// Two devices of one user: a real KUBE on loopback where they meet, how the second one is let in, and an app at each.

import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileStorage, HaloNative } from "@halo-wallet/sdk/node";

const now = () => performance.now();

/** Where devices meet; ends with this program. */
export async function startKube(dir) {
  const program = join(dirname(process.env.HALO_BIN), "kube");
  const child = spawn(program, ["serve", "--listen", "127.0.0.1:0", "--turn", "127.0.0.1:0", "--data", dir], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    return { url: JSON.parse(line).signal_url, end: () => child.kill() };
  }
  throw new Error("the KUBE ended before it served");
}

/** Links a new device; from the digits until it has everything, in milliseconds. */
export async function link(host, guest) {
  const hosting = host.invite();
  const { url } = await hosting.until(({ url }) => url);
  const joining = guest.join(url, "Kitchen");
  const { code } = await joining.until(({ state, code }) => state === "READY_FOR_AUTHENTICATION" && code);
  await hosting.until(({ state }) => state === "READY_FOR_AUTHENTICATION");
  const began = now();
  hosting.type(code);
  await joining.until(({ in_step }) => in_step);
  const took = now() - began;
  await hosting.until(({ state }) => state === "SUCCESS");
  hosting.end();
  joining.end();
  await guest.joined();
  return took;
}

/** The spaces of an app at a device. */
export async function app(wallet, dir, name) {
  const scopes = ["profile", "halo:spaces", "halo:spaces:write"];
  const halo = new HaloNative({ clientId: "org.example.bench", name: "Bench", scopes, profile: wallet.profile, storage: fileStorage(join(dir, name)) });
  let tell;
  const shown = new Promise((resolve) => (tell = resolve));
  const session = halo.signIn({ onWords: tell });
  await wallet.approve(await wallet.request(), { words: await shown });
  return { halo, spaces: (await session).spaces };
}
