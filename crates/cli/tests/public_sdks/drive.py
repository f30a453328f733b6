"""Drives openai-codex-sdk by a script on stdin and prints what came out as one JSON document."""

import asyncio
import json
import os
import sys

from openai_codex_sdk import AbortController, Codex


def plain(value):
    """Turns the models of the SDK into JSON, keys that the SDK does not know included."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return value


def is_at(event, moment):
    """A moment is the type of an event, or that and the type of its item."""
    item = getattr(event, "item", None)
    told = [event.type, f"{event.type} {item.type}"] if item else [event.type]
    return moment in told


async def run(thread, step):
    controller = AbortController()
    if step.get("abort_at") == "start":
        controller.abort()
    options = {"signal": controller.signal, **step.get("options", {})}
    events = []
    try:
        if not step.get("streamed"):
            turn = await thread.run(step["input"], options)
            return {
                "final_response": turn.final_response,
                "items": plain(turn.items),
                "usage": plain(turn.usage),
            }
        streamed = await thread.run_streamed(step["input"], options)
        async for event in streamed.events:
            events.append(plain(event))
            if not is_at(event, step.get("abort_at") or step.get("leave_at")):
                continue
            while "after_file" in step and not os.path.exists(step["after_file"]):
                await asyncio.sleep(0.005)
            if "leave_at" in step:
                break
            controller.abort()
        await streamed.events.aclose()
        return {"events": events}
    except Exception as error:  # what is raised is what the test looks at
        return {"events": events, "error": str(error) or type(error).__name__}


async def play(codex, script):
    options = script["thread"]
    if "resume" in script:
        thread = codex.resume_thread(script["resume"], options)
    else:
        thread = codex.start_thread(options)
    turns = [await run(thread, step) for step in script["turns"]]
    return {"id": thread.id, "turns": turns}


async def main():
    script = json.load(sys.stdin)
    codex = Codex(script["codex"])
    threads = await asyncio.gather(*(play(codex, thread) for thread in script["threads"]))
    print(json.dumps(threads))


asyncio.run(main())
