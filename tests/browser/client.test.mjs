// What of /client.js needs no service: run by `node --test`, with the module's address in CLIENT.
import assert from "node:assert/strict";
import { test } from "node:test";

const { Graphwire, Problem, SseParser } = await import(process.env.CLIENT);

const STREAMS = [
  ["a block", "event: tick\ndata: 1\nid: 7\n\n", [["tick", "1", "7"]]],
  ["no type", "data: 1\n\n", [["message", "1", ""]]],
  ["CRLF", "event: tick\r\ndata: 1\r\nid: 7\r\n\r\n", [["tick", "1", "7"]]],
  ["CR", "event: tick\rdata: 1\rid: 7\r\rdata: 2\r\r", [["tick", "1", "7"], ["message", "2", "7"]]],
  ["all line ends", "data: 1\r\n\ndata: 2\n\r\ndata: 3\r\r\n", [["message", "1", ""], ["message", "2", ""], ["message", "3", ""]]],
  ["a byte order mark", "\uFEFFdata: 1\n\n", [["message", "1", ""]]],
  ["a second byte order mark", "\uFEFF\uFEFFdata: 1\n\ndata: 2\n\n", [["message", "2", ""]]],
  ["comments", ":\n: hello\ndata: 1\n:\n\n:\n\n", [["message", "1", ""]]],
  ["lines of data", "data: 1\ndata\ndata: 2\n\n", [["message", "1\n\n2", ""]]],
  ["empty data", "data\n\ndata:\n\n", [["message", "", ""], ["message", "", ""]]],
  ["one space goes", "data:  1 \n\ndata:1\n\ndata:\t1\n\n", [["message", " 1 ", ""], ["message", "1", ""], ["message", "\t1", ""]]],
  ["no data", "event: tick\nid: 7\n\ndata: 1\n\n", [["message", "1", "7"]]],
  ["an id holds", "id: 7\ndata: 1\n\ndata: 2\n\nid\ndata: 3\n\n", [["message", "1", "7"], ["message", "2", "7"], ["message", "3", ""]]],
  ["an id with NUL", "id: 7\nid: 8\0\ndata: 1\n\n", [["message", "1", "7"]]],
  ["the last type", "event: a\nevent: b\ndata: 1\n\n", [["b", "1", ""]]],
  ["unknown fields", "dada: 0\n data: 0\nData: 0\ndata: 1\nretry: soon\n\n", [["message", "1", ""]]],
  ["colons", "data: a: b:c\n\n", [["message", "a: b:c", ""]]],
  ["many bytes to a character", "data: é€𝄞\nevent: ü\n\n", [["ü", "é€𝄞", ""]]],
  ["separators that end no line", "data: a\u2028b\u2029c\u0085d\u000be\n\n", [["message", "a\u2028b\u2029c\u0085d\u000be", ""]]],
  ["what is cut off", "data: 1\n\ndata: 2\n", [["message", "1", ""]]],
  ["cut in the last line end", "data: 1\n\ndata: 2\r\n\r", [["message", "1", ""], ["message", "2", ""]]],
  ["nothing", "", []],
];

function read(pieces) {
  const parser = new SseParser();
  return pieces.flatMap((piece) => parser.push(piece)).map(({ event, data, id }) => [event, data, id]);
}

for (const [name, text, expected] of STREAMS) {
  test(`SSE: ${name}, however it is split`, () => {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at <= bytes.length; at += 1) {
      assert.deepEqual(read([bytes.subarray(0, at), bytes.subarray(at)]), expected, `split at ${at}`);
    }
    assert.deepEqual(read([...bytes].map((byte) => Uint8Array.of(byte))), expected, "byte by byte");
  });
}

test("SSE: retry is read", () => {
  const parser = new SseParser();
  parser.push(new TextEncoder().encode("retry: 1500\nretry: 3s\n\n"));
  assert.equal(parser.retryMs, 1500);
});

const ENDED = { status: 204 };
const json = (status, body, headers = {}) => new Response(JSON.stringify(body), { status, headers });
const problem = (status, code, headers = {}) =>
  json(status, { code, status, detail: code }, { "Content-Type": "application/problem+json", ...headers });

/** A service that answers each request with the next of these. */
function service(answers, options = {}) {
  const requests = [];
  const fetch = async (url, init) => {
    requests.push({ url: String(url), ...init });
    const answer = answers.shift();
    if (answer === undefined) throw new Error("asked too often");
    return typeof answer === "function" ? answer(init) : answer;
  };
  const quick = { transport: "poll", baseMs: 1, capMs: 4 };
  return { requests, client: new Graphwire("http://service.test", { ...quick, ...options, fetch }) };
}

const unreachable = () => Promise.reject(new TypeError("fetch failed"));
const page = (numbers, ended = false) =>
  json(200, {
    events: numbers.map((seq) => ({ seq, type: ended && seq === numbers.at(-1) ? "stream_end" : "tick", data: {} })),
    next: numbers.at(-1) ?? 0,
    ended,
    lagged: null,
  });

async function all(stream) {
  const seen = [];
  for await (const event of stream) seen.push(event.seq ?? event.type);
  return seen;
}

test("a start whose answer is lost is repeated with its key", async () => {
  const { client, requests } = service([unreachable, problem(503, "shutting_down"), json(202, { id: "x" })]);

  assert.equal((await client.start("a b", { state: { n: 1 } })).id, "x");

  assert.equal(new Set(requests.map(({ headers }) => headers["Idempotency-Key"])).size, 1);
  assert.match(requests[0].headers["Idempotency-Key"], /^[0-9a-f]{32}$/);
  assert.deepEqual(requests.map(({ url }) => url), Array(3).fill("http://service.test/graphs/a%20b/execute"));
  assert.deepEqual(requests.map(({ body }) => body), Array(3).fill('{"state":{"n":1}}'));
});

test("a stream goes on behind the last event that it has", async () => {
  const { client, requests } = service([json(202, { id: "x" }), page([1, 2]), unreachable, page([3]), page([4], true)]);
  const statuses = [];

  assert.deepEqual(await all(client.run("hello", {}, { onStatus: (status) => statuses.push(status.name) })), [1, 2, 3, 4]);

  assert.deepEqual(requests.slice(1).map(({ url }) => new URL(url).searchParams.get("after")), ["0", "2", "2", "3"]);
  assert.deepEqual(statuses, ["connecting", "live", "reconnecting", "live", "ended"]);
});

test("events that come again are not given again", async () => {
  const { client } = service([page([1, 2]), page([1, 2, 3]), page([3, 4], true)]);

  assert.deepEqual(await all(client.follow("x")), [1, 2, 3, 4]);
});

test("where history was deleted its place says so, and other notices go elsewhere", async () => {
  const lagged = { type: "stream_lagged", after: 5, data: { from_seq: 1, to_seq: 5, dropped: 5 } };
  const first = json(200, { events: [{ seq: 6, type: "tick", data: {} }], next: 6, ended: false, lagged });
  const { client } = service([first, page([7], true)]);
  const notices = [];

  assert.deepEqual(await all(client.follow("x", { onNotice: (notice) => notices.push(notice.type) })), ["stream_lagged", 6, 7]);
  assert.deepEqual(notices, ["stream_lagged"]);
});

test("a refusal ends the stream at once, and says why", async () => {
  for (const [status, code] of [[404, "not_found"], [401, "unauthorized"], [422, "invalid_request"], [400, "invalid_cursor"]]) {
    const { client, requests } = service([problem(status, code)]);
    const stream = client.follow("x");

    await assert.rejects(all(stream), (error) => error instanceof Problem && error.code === code && error.status === status);
    assert.equal(requests.length, 1);
    assert.equal(stream.status.name, "failed");
    assert.equal(stream.status.reason.code, code);
  }
});

test("the waits are drawn between nothing and a bound that doubles, and end where they shall", async () => {
  const drawn = [];
  const { client, requests } = service(Array(9).fill(unreachable), { attempts: 5 });
  const onStatus = (status) => status.name === "reconnecting" && drawn.push(status);

  await assert.rejects(all(client.follow("x", { onStatus })), /fetch failed/);

  assert.equal(requests.length, 6);
  assert.deepEqual(drawn.map(({ attempt }) => attempt), [1, 2, 3, 4, 5]);
  drawn.forEach(({ delayMs }, index) => assert.ok(delayMs >= 0 && delayMs <= [1, 2, 4, 4, 4][index]));
  assert.ok(drawn.every(({ reason }) => reason instanceof TypeError));
});

test("the service's word on when to come back is kept", async () => {
  const { client } = service([problem(503, "shutting_down", { "Retry-After": "7" })]);
  const stream = client.follow("x", { onStatus: (status) => status.name === "reconnecting" && stream.close() });

  assert.deepEqual(await all(stream), []);
  assert.ok(stream.status.delayMs >= 7000 && stream.status.delayMs <= 7001);
});

test("a wait can be cut short", async () => {
  const { client } = service([problem(503, "shutting_down", { "Retry-After": "3600" }), page([1], true)]);
  const onStatus = (status) => status.name === "reconnecting" && queueMicrotask(() => stream.reconnectNow());
  const stream = client.follow("x", { onStatus });

  assert.deepEqual(await all(stream), [1]);
});

test("cleaning up aborts the request, and nothing is told any more", async () => {
  for (const way of ["close", "signal", "break"]) {
    let aborted = false;
    const hanging = ({ signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => {
          aborted = true;
          reject(signal.reason);
        }),
      );
    const { client, requests } = service([page([1]), hanging]);
    const controller = new AbortController();
    const stream = client.follow("x", { signal: controller.signal });
    const seen = [];
    for await (const event of stream) {
      seen.push(event.seq);
      if (way === "break") break;
      setTimeout(way === "close" ? stream.close : () => controller.abort());
    }

    assert.deepEqual(seen, [1]);
    assert.equal(aborted, way !== "break", way);
    assert.equal(requests.length, way === "break" ? 1 : 2);
  }
});

test("callbacks are called in order, each after the promise of the one before it", async () => {
  const { client } = service([page([1, 2, 3], true)]);
  const seen = [];
  await new Promise((resolve) =>
    client.follow("x", {
      onEvent: async ({ seq }) => {
        seen.push(`begin ${seq}`);
        await new Promise(setImmediate);
        seen.push(`end ${seq}`);
      },
      onStatus: ({ name }) => name === "ended" && resolve(),
    }),
  );

  assert.deepEqual(seen, ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]);
});

test("what a callback throws ends the stream and is no lost connection", async () => {
  const { client, requests } = service([page([1, 2])]);
  const onEvent = () => {
    throw new RangeError("mine");
  };

  const error = await new Promise((onError) => client.follow("x", { onEvent, onError }));

  assert.equal(error.message, "mine");
  assert.equal(requests.length, 1);
});

test("another filter is for what is behind the cursor", async () => {
  const { client, requests } = service([page([1, 2, 3]), page([2, 4], true)]);
  const stream = client.follow("x", { types: ["tick"] });
  const seen = [];
  for await (const { seq } of stream) {
    seen.push(seq);
    if (seq === 1) stream.filter({ nodes: ["a", "b"] });
  }

  assert.deepEqual(seen, [1, 2, 4]);
  const asked = requests.map(({ url }) => Object.fromEntries(new URL(url).searchParams));
  assert.deepEqual(asked, [
    { after: "0", wait: "0", types: "tick" },
    { after: "1", wait: "0", nodes: "a,b" },
  ]);
});

test("a key goes into the header, and nowhere else", async () => {
  const { client, requests } = service([page([1], true)], { apiKey: "secret" });

  await all(client.follow("x"));

  assert.equal(requests[0].headers.Authorization, "Bearer secret");
  assert.ok(!requests[0].url.includes("secret"));
});

test("what is in between and refuses a transport does not end the stream", async () => {
  const stop = new Response("<html>", { status: 502 });
  const { client, requests } = service([stop, page([1]), page([2], true)], { transport: "auto", WebSocket: undefined });
  const transports = [];
  const onStatus = (status) => status.name === "live" && transports.push(status.transport);

  assert.deepEqual(await all(client.follow("x", { onStatus })), [1, 2]);

  assert.deepEqual(transports, ["poll"]);
  assert.deepEqual(requests.map(({ headers }) => headers.Accept), ["text/event-stream", ...Array(2).fill("application/json")]);
});

test("what failed is left alone, for all streams of a service, until its time has come", async (context) => {
  context.mock.timers.enable({ apis: ["Date"] });
  const stop = () => new Response("<html>", { status: 502 });
  const { client, requests } = service([stop, page([1], true), page([1], true), stop, page([1], true), page([1], true)], {
    transport: "auto",
    WebSocket: undefined,
  });
  const asked = async () => {
    const before = requests.length;
    await all(client.follow("x"));
    return requests.slice(before).map(({ headers }) => headers.Accept);
  };

  assert.deepEqual(await asked(), ["text/event-stream", "application/json"]);
  assert.deepEqual(await asked(), ["application/json"]);
  context.mock.timers.tick(60_000);
  assert.deepEqual(await asked(), ["text/event-stream", "application/json"]);
  context.mock.timers.tick(60_000);
  assert.deepEqual(await asked(), ["application/json"]);
});

test("a wait that no timer can take is bounded, and not skipped", async () => {
  const { client, requests } = service([problem(503, "shutting_down", { "Retry-After": "99999999" })]);
  const stream = client.follow("x", { onStatus: (status) => status.name === "reconnecting" && stream.close() });

  assert.deepEqual(await all(stream), []);
  assert.ok(stream.status.delayMs >= 3_600_000 && stream.status.delayMs < 2 ** 31 - 1);
  assert.equal(requests.length, 1);
});

test("a refusal whose text is broken is one all the same", async () => {
  const broken = () => new Response("{", { status: 404, headers: { "Content-Type": "application/problem+json" } });
  const { client, requests } = service([broken]);

  await assert.rejects(all(client.follow("x")), (error) => error instanceof Problem && error.status === 404);
  assert.equal(requests.length, 1);
});

test("a stream that is sent away at once is not one that works", async () => {
  const notice = JSON.stringify({ type: "stream_closed", data: { code: "at_capacity", detail: "full", retry_ms: 1 } });
  const full = () => new Response(`event: stream_closed\ndata: ${notice}\n\n`, { headers: { "Content-Type": "text/event-stream" } });
  const { client, requests } = service([full, full, full, full], { transport: "sse", attempts: 3 });
  const attempts = [];
  const onStatus = (status) => status.name === "reconnecting" && attempts.push(status.attempt);

  await assert.rejects(all(client.follow("x", { onStatus })), /full/);
  assert.deepEqual(attempts, [1, 2, 3]);
  assert.equal(requests.length, 4);
});

test("an event without end is given up", () => {
  const parser = new SseParser();
  const bytes = new TextEncoder().encode("data: " + "x".repeat(1_000_000));

  assert.throws(() => Array.from({ length: 9 }, () => parser.push(bytes)), /no end/);
});

test("what happens in the service is followed by topics, from any place on", async () => {
  const { client, requests } = service([page([5]), page([6])]);
  const stream = client.events({ topics: ["execution.*", "graph.*"], after: 4 });
  const seen = [];
  for await (const { seq } of stream) {
    seen.push(seq);
    if (seq === 6) break;
  }

  assert.deepEqual(seen, [5, 6]);
  assert.equal(stream.executionId, undefined);
  assert.deepEqual(requests.map(({ url }) => url.replace("http://service.test", "")), [
    "/events?after=4&wait=0&topics=execution.*%2Cgraph.*",
    "/events?after=5&wait=25&topics=execution.*%2Cgraph.*",
  ]);
});

test("no name leads anywhere else", () => {
  const { client } = service([]);
  for (const name of ["", ".", ".."]) {
    assert.throws(() => client.follow(name), /no name/);
    assert.throws(() => client.cancel(name), /no name/);
    assert.throws(() => client.run(name), /no name/);
  }
});

test("who does not wait any more for a command's answer hears so at once", async () => {
  const { client, requests } = service([problem(503, "shutting_down", { "Retry-After": "60" })]);
  const controller = new AbortController();
  const answer = client.pause("x", { signal: controller.signal });
  while (requests.length === 0) await new Promise(setImmediate);
  setImmediate(() => controller.abort(new Error("enough")));

  await assert.rejects(answer, /enough/);
});

test("commands are sent as the service has them, each under a name of its own", async () => {
  const done = () => json(202, { applied_seq: 7 });
  const { client, requests } = service(Array(8).fill(done));

  await client.pause("x");
  await client.resume("x");
  await client.step("x");
  await client.step("x", "out");
  await client.input("x", "i1", { ok: true });
  await client.setBreakpoints("x", [{ node: "a", when: "after" }]);
  await client.editState("x", { n: 1, gone: null });
  assert.equal((await client.cancel("x")).applied_seq, 7);

  assert.deepEqual(requests.map(({ method, url, body }) => [method, url.replace("http://service.test/executions/x/", ""), body]), [
    ["POST", "pause", "{}"],
    ["POST", "resume", "{}"],
    ["POST", "step", '{"mode":"over"}'],
    ["POST", "step", '{"mode":"out"}'],
    ["POST", "input", '{"interrupt_id":"i1","value":{"ok":true}}'],
    ["PUT", "breakpoints", '[{"node":"a","when":"after"}]'],
    ["PATCH", "state", '{"n":1,"gone":null}'],
    ["POST", "cancel", "{}"],
  ]);
  assert.equal(new Set(requests.map(({ headers }) => headers["Idempotency-Key"])).size, 8);
});

test("the service must be named where the module is a file", () => {
  assert.throws(() => new Graphwire(), /name the service/);
});
