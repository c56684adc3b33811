import { once } from "node:events";
import { createServer } from "node:http";

/**
 * Answers requests at a free port of this machine.
 *
 * @param {import("node:http").RequestListener} answer
 * @returns {Promise<{ url: string, close: () => Promise<void> }>} its address, without a slash at its end; closed, it is as good as gone
 */
export async function listen(answer) {
  const server = createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const close = () =>
    new Promise((/** @type {(value: void) => void} */ resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${port}`, close };
}
