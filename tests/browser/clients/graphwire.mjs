// The service's own client, outside of a browser.
import WebSocket from "ws";

import { ADDRESS, EXECUTION, take } from "./told.mjs";

const { Graphwire } = await import("./client.mjs");
const service = new Graphwire(ADDRESS, { WebSocket, transport: process.env.TRANSPORT, baseMs: 10 });
for await (const event of service.follow(EXECUTION)) take(JSON.stringify(event));
