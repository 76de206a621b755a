// Made for browsers: it looks for a window, and for a document to ask whether that is hidden.
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };

const { fetchEventSource } = (await import("@microsoft/fetch-event-source")).default;
const { EVENTS, take } = await import("./told.mjs");

await fetchEventSource(EVENTS, { onmessage: ({ data }) => data && take(data) });
