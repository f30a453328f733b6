// Drives @openai/codex-sdk by a script on stdin and prints what came out as one JSON document.
// Arguments: the module of the SDK. Keys of options are written as in Python and translated here.
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const { Codex } = await import(process.argv[2]);
const script = JSON.parse(readFileSync(0, "utf8"));

const camel = (key) => key.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const options = (typed) =>
  Object.fromEntries(Object.entries(typed ?? {}).map(([key, value]) => [camel(key), value]));

// A moment is the type of an event, or that and the type of its item: "item.started todo_list".
const isAt = (event, moment) =>
  moment === event.type || (event.item && moment === `${event.type} ${event.item.type}`);

async function run(thread, step) {
  const controller = new AbortController();
  if (step.abort_at === "start") controller.abort();
  const turnOptions = { signal: controller.signal, ...options(step.options) };
  const events = [];
  try {
    if (!step.streamed) {
      const { finalResponse, items, usage } = await thread.run(step.input, turnOptions);
      return { final_response: finalResponse, items, usage };
    }
    const streamed = await thread.runStreamed(step.input, turnOptions);
    for await (const event of streamed.events) {
      events.push(event);
      if (!isAt(event, step.abort_at) && !isAt(event, step.leave_at)) continue;
      while (step.after_file && !existsSync(step.after_file)) await pause(5);
      if (step.leave_at) break;
      controller.abort();
    }
    return { events };
  } catch (error) {
    return { events, error: error.message };
  }
}

async function play(codex, { resume, thread: threadOptions, turns: steps }) {
  const thread = resume
    ? codex.resumeThread(resume, options(threadOptions))
    : codex.startThread(options(threadOptions));
  const turns = [];
  for (const step of steps) turns.push(await run(thread, step));
  return { id: thread.id, turns };
}

const codex = new Codex(options(script.codex));
const threads = await Promise.all(script.threads.map((thread) => play(codex, thread)));
console.log(JSON.stringify(threads));
