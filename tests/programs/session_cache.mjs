// A cache of sessions with node-redis and ioredis: sessions that end by themselves, a copy of them kept by the client
// and dropped when another changes them, a lock around what is dear.
//
//     node session_cache.mjs PORT
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import Redis from "ioredis";
import { BasicClientSideCache, createClient } from "redis";
import { port, run, until } from "./common.mjs";

await run(async (opened) => {
  const socket = { host: "127.0.0.1", port };
  const open = async (options) => opened(await createClient({ socket, RESP: 3, ...options }).on("error", console.error).connect());
  const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 1000, evictPolicy: "LRU" });
  const reader = await open({ clientSideCache: cache });
  const writer = await open({});
  const other = opened(new Redis({ ...socket }));

  // Sessions with a time of their own: each field of the visit as long as the visit.
  const begin = async (user, ttl_ms) => {
    const id = `session:${randomUUID()}`;
    await writer.multi().hSet(id, { user, visits: 1 }).pExpire(id, ttl_ms).exec();
    return id;
  };
  const ids = await Promise.all(Array.from({ length: 50 }, (_, i) => begin(`user${i}`, 60_000)));
  for (const [i, id] of ids.entries()) assert.equal((await other.hgetall(id)).user, `user${i}`);

  // The copy serves, until somebody else writes; then the new value is seen.
  await writer.set("page", "one");
  assert.equal(await reader.get("page"), "one");
  const asked = cache.stats().missCount;
  for (let i = 0; i < 100; i++) assert.equal(await reader.get("page"), "one");
  assert.equal(cache.stats().missCount, asked);
  assert.ok(cache.stats().hitCount >= 100);
  await other.set("page", "two");
  await until(async () => (await reader.get("page")) === "two");
  assert.equal(await reader.hGet(ids[0], "visits"), "1");
  await other.hincrby(ids[0], "visits", 41);
  await until(async () => (await reader.hGet(ids[0], "visits")) === "42");
  await writer.set("brief", "here", { expiration: { type: "PX", value: 30 } });
  assert.equal(await reader.get("brief"), "here");
  await until(async () => (await reader.get("brief")) === null);
  assert.equal(await reader.get("page"), "two");
  await other.flushdb();
  await until(async () => (await reader.get("page")) === null);

  // What ends is told, as an event.
  await writer.configSet("notify-keyspace-events", "Ex");
  const ended = [];
  const ears = opened(await writer.duplicate().connect());
  await ears.subscribe("__keyevent@0__:expired", (key) => ended.push(key));
  const brief = await Promise.all(Array.from({ length: 20 }, (_, i) => begin(`guest${i}`, 20 + i)));
  await until(() => ended.length === brief.length);
  assert.deepEqual(ended.sort(), brief.sort());

  // One at a time behind a lock that ends by itself, and is only opened by whom it belongs to.
  let inside = 0, most = 0, turns = 0;
  const locked = async (client) => {
    const token = randomUUID();
    while ((await client.set("lock", token, "PX", 5000, "NX")) !== "OK") await sleep(2);
    most = Math.max(most, ++inside);
    await sleep(1);
    turns++;
    inside--;
    const opens = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
    assert.equal(await client.eval(opens, 1, "lock", token), 1);
  };
  const clients = Array.from({ length: 8 }, () => opened(new Redis({ ...socket })));
  await Promise.all(clients.flatMap((client) => Array.from({ length: 5 }, () => locked(client))));
  assert.equal(most, 1);
  assert.equal(turns, 40);

  // Walking through all of them, and a page of the newest.
  const keys = new Set();
  await Promise.all(Array.from({ length: 300 }, (_, i) => other.set(`walk:${i}`, i)));
  for await (const found of writer.scanIterator({ MATCH: "walk:*", COUNT: 20 })) for (const key of found) keys.add(key);
  assert.equal(keys.size, 300);
});
