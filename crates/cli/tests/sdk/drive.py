"""Drives openai-codex-sdk by a script on stdin and prints what came out as one JSON document."""

import asyncio
import json
import sys

from openai_codex_sdk import AbortController, Codex


def plain(value):
    """Turns the models of the SDK into JSON, keys that the SDK does not know included."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return value


async def run(thread, step):
    controller = AbortController()
    options = {"signal": controller.signal}
    if "output_schema" in step:
        options["output_schema"] = step["output_schema"]
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
            if event.type == step.get("abort_at"):
                controller.abort()
        return {"events": events}
    except Exception as error:  # what is raised is what the test looks at
        return {"events": events, "error": str(error) or type(error).__name__}


async def main():
    script = json.load(sys.stdin)
    codex = Codex(script["codex"])
    if "resume" in script:
        thread = codex.resume_thread(script["resume"], script["thread"])
    else:
        thread = codex.start_thread(script["thread"])
    turns = [await run(thread, step) for step in script["turns"]]
    print(json.dumps({"id": thread.id, "turns": turns}))


asyncio.run(main())
