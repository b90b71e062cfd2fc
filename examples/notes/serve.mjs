// Serves the files of the page. There is nothing else behind it: the notes are in the user's wallet.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const port = Number(process.env.PORT ?? 5181);
const types = { html: "text/html", css: "text/css", js: "text/javascript", svg: "image/svg+xml" };

createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  const [, folder, path] = /^\/(sdk|jose)\/(.+)$/.exec(pathname) ?? [null, "page", pathname === "/" ? "index.html" : pathname.slice(1)];
  const from = { page: "page/", sdk: "node_modules/@halo-wallet/sdk/dist/", jose: "node_modules/jose/dist/webapi/" }[folder];
  try {
    const file = await readFile(new URL(from + path, import.meta.url));
    response.setHeader("Content-Type", types[path.split(".").pop()] ?? "application/octet-stream").end(file);
  } catch {
    response.writeHead(404).end("There is no such file.");
  }
}).listen(port, "localhost", () => console.log(`Notes is at http://localhost:${port}`));
