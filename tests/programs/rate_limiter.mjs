// Rate limiters with ioredis: a fixed window by INCR, a sliding window by a script, a bucket in a hash by WATCH.
//
//     node rate_limiter.mjs PORT
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import Redis from "ioredis";
import { port, run } from "./common.mjs";

const LIMIT = 10;
const ASKED = 60;

await run(async (opened) => {
  const connect = (options = {}) => opened(new Redis({ port, host: "127.0.0.1", ...options }));
  const clients = Array.from({ length: 6 }, (_, i) => connect({ enableAutoPipelining: i % 2 === 0 }));

  // A fixed window: as many as the limit, whichever connection asks, and again once the window is over.
  const fixed = async (client, key, window_ms) => {
    const [[, count]] = await client.multi().incr(key).pexpire(key, window_ms, "NX").exec();
    return count <= LIMIT;
  };
  const ask = async (allowed) =>
    (await Promise.all(Array.from({ length: ASKED }, (_, i) => allowed(clients[i % clients.length])))).filter(Boolean).length;
  assert.equal(await ask((client) => fixed(client, "fixed:alice", 10_000)), LIMIT);
  assert.equal(await ask((client) => fixed(client, "fixed:alice", 10_000)), 0);
  assert.equal(await ask((client) => fixed(client, "fixed:bob", 10_000)), LIMIT);
  assert.ok((await clients[0].pttl("fixed:alice")) > 0);
  await clients[0].del("fixed:carol");
  assert.equal(await fixed(clients[0], "fixed:carol", 50), true);
  await sleep(80);
  assert.equal(await clients[1].exists("fixed:carol"), 0);

  // A sliding window, in one script: EVALSHA first, the text only where it is not known.
  for (const client of clients)
    client.defineCommand("slide", {
      numberOfKeys: 1,
      lua: `
        local now = redis.call('TIME')
        local us = now[1] * 1000000 + now[2]
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', us - tonumber(ARGV[1]) * 1000)
        if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
        redis.call('ZADD', KEYS[1], us, us .. '-' .. ARGV[3])
        redis.call('PEXPIRE', KEYS[1], ARGV[1])
        return 1`,
    });
  let number = 0;
  assert.equal(await ask(async (client) => (await client.slide("slide:alice", 60_000, LIMIT, number++)) === 1), LIMIT);
  assert.equal(await clients[0].zcard("slide:alice"), LIMIT);
  await clients[0].script("FLUSH");
  assert.equal(await clients[1].slide("slide:alice", 60_000, LIMIT, number++), 0);
  assert.equal(await clients[1].slide("slide:bob", 60_000, LIMIT, number++), 1);

  // A bucket of tokens, read and written by the client, safe by WATCH: nobody takes a token twice. A connection of
  // its own for each, as WATCH belongs to one.
  await clients[0].hset("bucket", { tokens: LIMIT, taken: 0 });
  const take = async (client) => {
    for (;;) {
      await client.watch("bucket");
      const { tokens, taken } = await client.hgetall("bucket");
      if (Number(tokens) === 0) {
        await client.unwatch();
        return false;
      }
      const replies = await client.multi().hset("bucket", { tokens: tokens - 1, taken: Number(taken) + 1 }).hget("bucket", "taken").exec();
      if (replies) return true;
    }
  };
  const takers = Array.from({ length: LIMIT + 5 }, () => connect());
  const got = await Promise.all(takers.map(take));
  assert.equal(got.filter(Boolean).length, LIMIT);
  assert.deepEqual(await clients[0].hgetall("bucket"), { tokens: "0", taken: String(LIMIT) });

  // What goes wrong comes back to whom it belongs, in a pipeline and in a transaction.
  await clients[0].set("text", "abc");
  const replies = await clients[0].pipeline().incr("text").get("text").exec();
  assert.match(replies[0][0].message, /not an integer/);
  assert.equal(replies[1][1], "abc");
  await assert.rejects(clients[0].multi().set("a").get("text").exec(), /EXECABORT/);
});
