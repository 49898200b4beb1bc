// What the programs share: the port, an end that leaves nothing open, and waiting for a condition.
import { setTimeout as sleep } from "node:timers/promises";

export const port = Number(process.argv[2]);

/** Run it with a function that notes what has to be closed; the exit code says whether it went well. */
export async function run(program) {
  const open = [];
  const opened = (what) => {
    open.push(what);
    return what;
  };
  let failure = null;
  try {
    await program(opened);
  } catch (error) {
    failure = error;
  }
  for (const what of open.reverse()) {
    try {
      await (what.close ? what.close() : what.quit());
    } catch {
      // it was closed before
    }
  }
  if (failure) console.error(failure);
  process.exit(failure ? 1 : 0);
}

/** Until the condition holds; an error when it does not within some seconds. */
export async function until(condition, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${condition}`);
    await sleep(10);
  }
}
