// Who goes on writing while the primary changes, with ioredis as people set it up behind one address: told READONLY it
// connects anew, to whoever is the primary then, and sends the command again.
//
//     node failover.mjs PORT PORT_OF_ANOTHER
import assert from "node:assert/strict";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import Redis from "ioredis";
import { run, until } from "./common.mjs";

const host = "127.0.0.1";
const ports = process.argv.slice(2, 4).map(Number);
const WRITERS = 3;

await run(async (opened) => {
  const servers = ports.map((port) => opened(new Redis({ port, host })));
  const role = async (i) => (await servers[i].role())[0];
  const isInSync = async (i) => (await servers[i].role())[3] === "connected";
  const primary = async () => {
    for (;;) {
      for (const [i, port] of ports.entries()) if ((await role(i)) === "master") return port;
      await sleep(5);
    }
  };
  await servers[1].call("REPLICAOF", host, ports[0]);
  await until(() => isInSync(1));

  // The address behind which the primary is.
  const address = net.createServer(async (client) => {
    client.pause();
    const server = net.connect(await primary(), host);
    client.on("error", () => server.destroy());
    server.on("error", () => client.destroy());
    client.pipe(server).pipe(client);
  });
  await new Promise((listening) => address.listen(0, host, listening));
  opened(address);

  let running = true;
  const write = async (name) => {
    const client = opened(
      new Redis({
        port: address.address().port,
        host,
        maxRetriesPerRequest: null,
        retryStrategy: () => 10,
        reconnectOnError: (error) => (error.message.startsWith("READONLY") ? 2 : false),
      }),
    );
    client.on("error", () => {});
    const seen = [];
    while (running) seen.push(await client.incr(name));
    return seen;
  };
  const writers = Array.from({ length: WRITERS }, (_, i) => write(`n${i}`));
  for (const [from, to] of [[0, 1], [1, 0]]) {
    await sleep(200);
    assert.equal(await servers[from].call("FAILOVER"), "OK");
    await until(async () => (await role(to)) === "master");
    await until(() => isInSync(from));
  }
  await sleep(200);
  running = false;
  for (const seen of await Promise.all(writers)) {
    assert.ok(seen.length > 20, `${seen.length} writes`);
    assert.deepEqual(seen, Array.from(seen, (_, i) => i + 1)); // none lost, none twice
  }
});
