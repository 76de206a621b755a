// Node.js's own fetch, and lines of JSON.
import { EVENTS, again, take } from "./told.mjs";

let last = 0;
for (let ended = false; !ended; ) {
  try {
    const answer = await fetch(`${EVENTS}?after=${last}`, { headers: { Accept: "application/x-ndjson" } });
    let text = "";
    for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
      const lines = (text + piece).split("\n");
      text = lines.pop();
      for (const line of lines) {
        last = JSON.parse(line).seq ?? last;
        ended = take(line);
      }
    }
  } catch {
    await new Promise(again);
  }
}
