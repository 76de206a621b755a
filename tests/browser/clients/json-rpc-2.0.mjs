// A JSON-RPC client that knows nothing of the service: requests, replies and notifications over a socket.
import { JSONRPCClient, JSONRPCServer, JSONRPCServerAndClient } from "json-rpc-2.0";
import WebSocket from "ws";

import { ADDRESS, EXECUTION, again, take } from "./told.mjs";

let last = 0;
function connect() {
  const socket = new WebSocket(`${ADDRESS.replace("http", "ws")}/ws`, "graphwire.v1");
  const peer = new JSONRPCServerAndClient(
    new JSONRPCServer(),
    new JSONRPCClient((message) => socket.send(JSON.stringify(message))),
  );
  peer.addMethod("event", ({ event }) => {
    last = event.seq;
    if (take(JSON.stringify(event))) socket.close(1000);
  });
  peer.addMethod("notice", () => {});
  socket.on("open", async () => {
    await peer.request("execution.subscribe", { execution_id: EXECUTION, after: last }).catch(() => socket.close());
  });
  socket.on("message", (data) => peer.receiveAndSend(JSON.parse(data)));
  socket.on("error", () => {}); // it closes then
  socket.on("close", (code) => {
    peer.rejectAllPendingRequests("the socket was closed");
    if (code !== 1000) again(connect);
  });
}
connect();
