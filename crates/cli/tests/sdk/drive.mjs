// Drives @openai/codex-sdk by a script on stdin and prints what came out as one JSON document.
// Arguments: the module of the SDK. Keys of options are written as in Python and translated here.
import { readFileSync } from "node:fs";

const { Codex } = await import(process.argv[2]);
const script = JSON.parse(readFileSync(0, "utf8"));

const camel = (key) => key.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const options = (typed) =>
  Object.fromEntries(Object.entries(typed ?? {}).map(([key, value]) => [camel(key), value]));

const codex = new Codex(options(script.codex));
const thread = script.resume
  ? codex.resumeThread(script.resume, options(script.thread))
  : codex.startThread(options(script.thread));

async function run(step) {
  const controller = new AbortController();
  const turnOptions = { signal: controller.signal };
  if (step.output_schema) turnOptions.outputSchema = step.output_schema;
  const events = [];
  try {
    if (!step.streamed) {
      const { finalResponse, items, usage } = await thread.run(step.input, turnOptions);
      return { final_response: finalResponse, items, usage };
    }
    const streamed = await thread.runStreamed(step.input, turnOptions);
    for await (const event of streamed.events) {
      events.push(event);
      if (event.type === step.abort_at) controller.abort();
    }
    return { events };
  } catch (error) {
    return { events, error: error.message };
  }
}

const turns = [];
for (const step of script.turns) turns.push(await run(step));
console.log(JSON.stringify({ id: thread.id, turns }));
