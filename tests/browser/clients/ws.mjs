import WebSocket from "ws";

import { ADDRESS, EXECUTION, again, take } from "./told.mjs";

let last = 0;
function connect() {
  const socket = new WebSocket(`${ADDRESS.replace("http", "ws")}/executions/${EXECUTION}/ws?after=${last}`, "graphwire.v1");
  socket.on("message", (data) => {
    const { method, params } = JSON.parse(data);
    if (method !== "event") return;
    last = params.event.seq;
    take(JSON.stringify(params.event));
  });
  socket.on("error", () => {}); // it closes then
  socket.on("close", (code) => code === 1000 || again(connect));
}
connect();
