// What every client here is told, and how it tells what it got: each event as a line, until the sentinel.
export const { ADDRESS, EXECUTION } = process.env;
export const EVENTS = `${ADDRESS}/executions/${EXECUTION}/events`;
/** Clients that hear only what they have named must name every type. */
export const TYPES = process.env.TYPES.split(",");

/** Take an event or a notice, as text; whether it was the last. */
export function take(text) {
  const item = JSON.parse(text);
  if (item.seq !== undefined) process.stdout.write(`${text}\n`);
  return item.type === "stream_end";
}

let attempts = 0;

/** Do it again soon, where a client has no way of its own; not for ever. */
export function again(connect) {
  if (++attempts > 20) throw new Error("no connection lasts");
  setTimeout(connect, 20);
}
