// Runs a graph, or joins its run, with the clients that AG-UI publishes, and prints what they made of it as JSON.
import {readFileSync} from "node:fs";
import {EventSchemas} from "@ag-ui/core/schemas";
import {HttpAgent, verifyEvents} from "@ag-ui/client";
import {from, lastValueFrom, toArray} from "rxjs";

const [command, ...rest] = process.argv.slice(2);

async function run(url, input) {
  return follow(new HttpAgent({url, ...JSON.parse(input ?? "{}")}));
}

// A run that goes on already: the same agent, which reads where it would have started.
class Joined extends HttpAgent {
  requestInit() {
    return {headers: {...this.headers, Accept: "text/event-stream"}, signal: this.abortController.signal};
  }
}

async function join(url, input) {
  return follow(new Joined({url, ...JSON.parse(input ?? "{}")}));
}

async function follow(agent) {
  const events = [];
  let error = null;
  const subscriber = {
    onEvent: ({event}) => void events.push(event),
    onRunErrorEvent: ({event}) => void (error = event),
  };
  const {newMessages} = await agent.runAgent({}, subscriber);
  return {events, error, state: agent.state, messages: newMessages, thread: agent.threadId};
}

// What clients have against sequences of events, however they were put together; null where that is nothing.
async function verify(file) {
  return Promise.all(JSON.parse(readFileSync(file)).map(async (events) => {
    try {
      const parsed = events.map((event) => EventSchemas.parse(event));
      await lastValueFrom(from(parsed).pipe(verifyEvents(), toArray()));
      return null;
    } catch (error) {
      return String(error);
    }
  }));
}

console.log(JSON.stringify(await {run, join, verify}[command](...rest)));
