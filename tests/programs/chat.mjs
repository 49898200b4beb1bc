// A chat with node-redis: rooms by publish/subscribe, a moderator who hears all of them, history in a stream, who is
// there in a sorted set, mail to those who are away.
//
//     node chat.mjs PORT
import assert from "node:assert/strict";
import { createClient } from "redis";
import { port, run, until } from "./common.mjs";

const HISTORY = 50;
const ROOMS = ["kitchen", "garden", "cellar"];

class Member {
  constructor(name, client, ears) {
    Object.assign(this, { name, client, ears, heard: [] });
  }

  async join(room) {
    await this.client.zAdd(`room:${room}:there`, { score: Date.now(), value: this.name });
    await this.ears.subscribe(`room:${room}`, (text) => this.heard.push({ room, ...JSON.parse(text) }));
  }

  async leave(room) {
    await this.ears.unsubscribe(`room:${room}`);
    await this.client.zRem(`room:${room}:there`, this.name);
  }

  /** One unit: nobody hears what is not in the history. */
  async say(room, text) {
    const message = { from: this.name, text };
    const [id, told] = await this.client
      .multi()
      .xAdd(`room:${room}:history`, "*", message, { TRIM: { strategy: "MAXLEN", strategyModifier: "=", threshold: HISTORY } })
      .publish(`room:${room}`, JSON.stringify(message))
      .exec();
    assert.match(id, /^\d+-\d+$/);
    return told;
  }
}

await run(async (opened) => {
  const connect = async (RESP) => {
    const client = opened(createClient({ socket: { host: "127.0.0.1", port }, RESP }));
    client.on("error", (error) => console.error(error));
    return client.connect();
  };
  const members = [];
  for (const [i, name] of ["ada", "grace", "edsger", "barbara"].entries()) {
    const client = await connect(i % 2 ? 3 : 2);
    members.push(new Member(name, client, await client.duplicate().connect()));
    opened(members.at(-1).ears);
  }
  const [ada, grace, edsger, barbara] = members;
  const moderator = await connect(3);
  const ears = opened(await moderator.duplicate().connect());
  const overheard = [];
  await ears.pSubscribe("room:*", (text, channel) => overheard.push([channel, JSON.parse(text).text]));

  for (const member of members) await member.join("kitchen");
  await ada.join("garden");
  assert.deepEqual((await moderator.zRange("room:kitchen:there", 0, -1)).sort(), ["ada", "barbara", "edsger", "grace"]);
  assert.deepEqual({ ...(await moderator.pubSubNumSub(ROOMS.map((room) => `room:${room}`))) }, {
    "room:kitchen": 4, "room:garden": 1, "room:cellar": 0,
  });

  // Everyone hears everything of a room, in the same order, whoever said it.
  const rounds = 100;
  await Promise.all(members.map(async (member) => {
    for (let i = 0; i < rounds; i++) assert.equal(await member.say("kitchen", `${member.name} ${i}`), 5);
  }));
  await until(() => members.every((member) => member.heard.length === rounds * members.length));
  for (const member of members) assert.deepEqual(member.heard, ada.heard);
  for (const member of members) {
    const own = ada.heard.filter((message) => message.from === member.name).map((message) => message.text);
    assert.deepEqual(own, Array.from({ length: rounds }, (_, i) => `${member.name} ${i}`));
  }
  await until(() => overheard.length === rounds * members.length);

  // The history is as long as it may be, and ends with what was said last.
  const history = await moderator.xRange("room:kitchen:history", "-", "+");
  assert.equal(history.length, HISTORY);
  assert.deepEqual(history.map((entry) => entry.message.text), ada.heard.slice(-HISTORY).map((message) => message.text));

  // Who has left hears nothing more.
  await grace.leave("kitchen");
  const before = grace.heard.length;
  assert.equal(await edsger.say("kitchen", "is she gone?"), 4);
  assert.equal(await edsger.say("cellar", "echo?"), 1);
  await until(() => overheard.at(-1)?.[1] === "echo?");
  assert.equal(grace.heard.length, before);
  assert.equal(await moderator.zScore("room:kitchen:there", "grace"), null);

  // Mail waits in a stream for a group of readers, each letter for one of them, until it is acknowledged.
  await moderator.xGroupCreate("mail", "readers", "$", { MKSTREAM: true });
  const reading = ["ada", "barbara"].map(async (name) => {
    const client = await connect(2); // the library leaves RESP3's replies of streams as they come
    const letters = [];
    for (;;) {
      const streams = await client.xReadGroup("readers", name, { key: "mail", id: ">" }, { COUNT: 1, BLOCK: 1000 });
      if (!streams) return letters;
      for (const { id, message } of streams[0].messages) {
        letters.push(message.text);
        assert.equal(await client.xAck("mail", "readers", id), 1);
      }
    }
  });
  for (let i = 0; i < 40; i++) await grace.client.xAdd("mail", "*", { text: `letter ${i}` });
  const letters = (await Promise.all(reading)).flat();
  assert.deepEqual(letters.sort(), Array.from({ length: 40 }, (_, i) => `letter ${i}`).sort());
  assert.equal((await moderator.xPending("mail", "readers")).pending, 0);

  // A shard channel is another channel than the one of the same name.
  const shard = [];
  await ears.sSubscribe("room:kitchen", (text) => shard.push(text));
  assert.equal(await moderator.sPublish("room:kitchen", "to the shard"), 1);
  await until(() => shard.length === 1);
  for (const room of ROOMS) await moderator.publish(`room:${room}`, JSON.stringify({ text: "good night" }));
  await until(() => overheard.filter(([, text]) => text === "good night").length === ROOMS.length);
  assert.equal(shard.length, 1);
});
