import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { verifyProof } from "@halo-wallet/sdk/verify";

const port = Number(process.env.PORT ?? 5180);
const origin = process.env.ORIGIN ?? `http://localhost:${port}`;
const types = { html: "text/html", css: "text/css", js: "text/javascript", svg: "image/svg+xml" };
const nonces = new Set();

const server = createServer(async (request, response) => {
  try {
    const { pathname } = new URL(request.url, origin);
    if (pathname === "/nonce") {
      const nonce = randomUUID();
      nonces.add(nonce);
      setTimeout(() => nonces.delete(nonce), 600_000).unref();
      response.end(JSON.stringify({ nonce }));
    } else if (pathname === "/sign-in") {
      const { proof, nonce } = await json(request);
      if (!nonces.delete(nonce)) throw new Error("that nonce is not ours, or was used");
      // From here on `subject` is who it is. A real app would now set its session cookie.
      const { subject, did, name } = await verifyProof(proof, { audience: origin, nonce });
      response.end(JSON.stringify({ subject, did, name }));
    } else {
      const [, folder, path] = /^\/(sdk|jose)\/(.+)$/.exec(pathname) ?? [null, "page", pathname === "/" ? "index.html" : pathname.slice(1)];
      const from = { page: "page/", sdk: "node_modules/@halo-wallet/sdk/dist/", jose: "node_modules/jose/dist/webapi/" }[folder];
      const file = await readFile(new URL(from + path, import.meta.url));
      response.setHeader("Content-Type", types[path.split(".").pop()] ?? "application/octet-stream").end(file);
    }
  } catch (error) {
    response.writeHead(error.code === "ENOENT" ? 404 : 400).end(JSON.stringify({ error: error.code, message: error.message }));
  }
});
server.listen(port, "localhost", () => console.log(`Hello is at ${origin}`));
