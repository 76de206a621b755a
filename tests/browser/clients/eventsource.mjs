import { EventSource } from "eventsource";

import { EVENTS, TYPES, take } from "./told.mjs";

const source = new EventSource(EVENTS);
for (const type of TYPES) source.addEventListener(type, ({ data }) => take(data) && source.close());
