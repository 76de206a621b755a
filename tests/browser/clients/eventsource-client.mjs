import { createEventSource } from "eventsource-client";

import { EVENTS, take } from "./told.mjs";

const source = createEventSource({ url: EVENTS, onMessage: ({ data }) => take(data) && source.close() });
