// A job queue with BullMQ: plain, delayed, prioritised and repeated jobs, retries, a flow of jobs, a pause.
//
//     node job_queue.mjs PORT
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { FlowProducer, Queue, QueueEvents, Worker } from "bullmq";
import { port, run, until } from "./common.mjs";

const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
const JOBS = 200;

await run(async (opened) => {
  const queue = opened(new Queue("letters", { connection }));
  const events = opened(new QueueEvents("letters", { connection }));
  await events.waitUntilReady();
  queue.setMaxListeners(0); // one for each job that is waited for

  // Many at once, five workers' hands: each is done exactly once, and its result comes back.
  const done = [];
  const worker = opened(
    new Worker(
      "letters",
      async (job) => {
        if (job.name === "flaky" && job.attemptsMade < 2) throw new Error("not yet");
        if (job.name === "hopeless") throw new Error("never");
        await job.updateProgress(50);
        done.push(job.data.number ?? job.name);
        return { doubled: (job.data.number ?? 0) * 2 };
      },
      { connection, concurrency: 5 },
    ),
  );
  await worker.waitUntilReady();
  const jobs = await queue.addBulk(
    Array.from({ length: JOBS }, (_, number) => ({ name: "plain", data: { number } })),
  );
  const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 30_000)));
  assert.deepEqual(results.map((result) => result.doubled), jobs.map((job) => job.data.number * 2));
  assert.equal(new Set(done).size, JOBS);
  assert.equal(done.length, JOBS);
  assert.equal((await queue.getJobCounts("completed")).completed, JOBS);

  // Retries with a pause between them; one that never succeeds ends among the failed.
  const flaky = await queue.add("flaky", {}, { attempts: 3, backoff: { type: "fixed", delay: 20 } });
  const hopeless = await queue.add("hopeless", {}, { attempts: 2, backoff: { type: "exponential", delay: 10 } });
  await flaky.waitUntilFinished(events, 30_000);
  await assert.rejects(hopeless.waitUntilFinished(events, 30_000), /never/);
  assert.equal(await hopeless.getState(), "failed");
  assert.equal((await queue.getFailed()).length, 1);

  // A delayed job comes after one that is asked for later, and not before its time.
  const begun = Date.now();
  const late = await queue.add("late", {}, { delay: 150 });
  const soon = await queue.add("soon", {});
  assert.equal(await late.getState(), "delayed");
  await Promise.all([late, soon].map((job) => job.waitUntilFinished(events, 30_000)));
  assert.ok(done.indexOf("soon") < done.indexOf("late"));
  assert.ok(Date.now() - begun >= 149);

  // While the queue is paused nothing runs; then it runs by priority.
  await queue.pause();
  const from = done.length;
  const names = ["third", "first", "second"];
  const waiting = await Promise.all(
    [3, 1, 2].map((priority, i) => queue.add(names[i], {}, { priority })),
  );
  await sleep(100);
  assert.equal(done.length, from);
  await worker.pause(); // one hand only, so that the order can be seen
  worker.concurrency = 1;
  worker.resume();
  await queue.resume();
  await Promise.all(waiting.map((job) => job.waitUntilFinished(events, 30_000)));
  assert.deepEqual(done.slice(from), ["first", "second", "third"]);

  // A job with the same id is not added twice.
  await queue.add("once", {}, { jobId: "the-one" });
  await queue.add("once", {}, { jobId: "the-one" });
  await until(() => done.includes("once"));
  assert.equal(done.filter((name) => name === "once").length, 1);

  // A parent runs after its children, and sees what they returned.
  const flow = opened(new FlowProducer({ connection }));
  const parents = opened(
    new Worker("parents", async (job) => Object.values(await job.getChildrenValues()).map((value) => value.doubled), { connection }),
  );
  await parents.waitUntilReady();
  const parentEvents = opened(new QueueEvents("parents", { connection }));
  await parentEvents.waitUntilReady();
  const tree = await flow.add({
    name: "sum",
    queueName: "parents",
    children: [10, 20, 30].map((number) => ({ name: "plain", queueName: "letters", data: { number } })),
  });
  const sums = await tree.job.waitUntilFinished(parentEvents, 30_000);
  assert.deepEqual(sums.sort((a, b) => a - b), [20, 40, 60]);

  // Again and again, until told to stop.
  await queue.upsertJobScheduler("pulse", { every: 50 }, { name: "pulse" });
  await until(() => done.filter((name) => name === "pulse").length >= 3);
  assert.ok(await queue.removeJobScheduler("pulse"));

  await worker.close();
  await queue.obliterate({ force: true });
  assert.deepEqual(await queue.getJobs(), []);
});
