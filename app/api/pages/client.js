// Graphwire for browsers, and for Node.js 20 or newer: start graphs and follow them live, to their end, across
// connections that break. One module without dependencies.
//
//     import { Graphwire } from "http://127.0.0.1:8000/client.js";
//
//     const service = new Graphwire();
//     for await (const event of service.run("hello")) console.log(event.seq, event.type);

/**
 * What happened in an execution. Go by `type`; members that do not apply are absent, and more may come.
 * @typedef {object} GraphEvent
 * @property {number} seq Its number in the execution, from 1, for ever.
 * @property {string} type
 * @property {string} execution_id
 * @property {string} graph_id
 * @property {string} [node_id]
 * @property {string} [activation] Names the run of the node.
 * @property {number} [pass] Counts the node's runs, for display.
 * @property {{node: string, activation: string, index?: number}[]} [path] The enclosing scopes, outermost first.
 * @property {string} ts
 * @property {number} mono_ns
 * @property {Record<string, any>} data What belongs to the type.
 */

/**
 * What concerns one reader or one moment, and is no part of the history: it has no `seq`.
 * @typedef {object} Notice
 * @property {undefined} [seq]
 * @property {string} type `execution_progress`, `heartbeat`, `stream_lagged` or `stream_closed`.
 * @property {string} [execution_id]
 * @property {string} [node_id]
 * @property {string} ts
 * @property {number} [after] Where the reader is.
 * @property {Record<string, any>} data
 */

/** @typedef {"websocket" | "sse" | "poll"} Transport */

/**
 * How a stream is doing. `attempt` counts from 1 and starts again once a connection has worked.
 * @typedef {{name: "connecting"}
 *   | {name: "live", transport: Transport}
 *   | {name: "reconnecting", attempt: number, delayMs: number, reason: Error}
 *   | {name: "ended"}
 *   | {name: "failed", reason: Error}} Status
 */

/**
 * Which events to send. The terminal event and `stream_end` always come.
 * @typedef {object} Filter
 * @property {string[]} [types]
 * @property {string[]} [nodes]
 */

/**
 * @typedef {object} StreamOptions
 * @property {number} [after] Number of the last event that the caller has.
 * @property {string[]} [types] Only events of these types.
 * @property {string[]} [nodes] Only events of these nodes, and those of no node.
 * @property {(event: GraphEvent | Notice) => unknown} [onEvent] Called for each event, and for the notice
 *   `stream_lagged`, which stands where history was deleted. With it the stream begins at once; the next event waits
 *   for the promise that it may return.
 * @property {(notice: Notice) => unknown} [onNotice] Called for each notice.
 * @property {(status: Status) => unknown} [onStatus] Called when the status changes.
 * @property {(error: Error) => unknown} [onError] Called once, when a stream with `onEvent` failed.
 * @property {AbortSignal} [signal] Closes the stream.
 */

/** @typedef {StreamOptions & {idempotencyKey?: string}} RunOptions */

/** @typedef {StreamOptions & {topics?: string[]}} ServiceStreamOptions `topics`, such as `execution.*`; else all. */

/**
 * Where an execution pauses by itself.
 * @typedef {{node: string, when?: "before" | "after", condition?: string, hits?: number}} Breakpoint
 */

/**
 * @typedef {object} CommandOptions
 * @property {string} [idempotencyKey] Names it; else it has a new name. Repeated, it is carried out once.
 * @property {AbortSignal} [signal] Ends the wait for the answer.
 */

/** @typedef {Promise<{applied_seq: number}>} Applied The number of its event `command_accepted`. */

/**
 * @typedef {object} ServiceOptions
 * @property {string} [apiKey] The key of a service that asks for one.
 * @property {Transport | "auto"} [transport] `auto` takes the WebSocket, else server-sent events, else polling,
 *   remembers what worked, and tries the better ones again later.
 * @property {number} [attempts] How many times in a row to try again, before giving up; without limit unless given.
 * @property {number} [baseMs] Before the first repetition at most so long, doubled for each one after it.
 * @property {number} [capMs] Never longer than this.
 * @property {typeof globalThis.fetch} [fetch] In the place of the global one.
 * @property {new (url: string, protocols: string[]) => WebSocket} [WebSocket] In the place of the global one, which
 *   Node.js 20 does not have.
 */

/**
 * What a stream is read from: where its events are, and the request of a WebSocket that subscribes to them.
 * @typedef {{path: string, method: string, params: Record<string, unknown>, executionId?: string}} Source
 */

/**
 * What came together on a connection. The first batch of each says only that it is open, and any other that it works.
 * @typedef {{items: (GraphEvent | Notice)[], isLast?: boolean}} Batch
 */

const HEARTBEAT_S = 15;
const SILENCE_MS = 2.5 * HEARTBEAT_S * 1000;
const CONNECT_MS = 10_000;
const POLL_S = 25;
const CREDIT = 1024;
const CLIMB_MS = [60_000, 3_600_000];
const LONGEST_MS = 3_600_000; // timers take no more than 2^31 - 1 ms: beyond it they do not wait at all
const LONGEST_BLOCK = 4 * 1024 * 1024;
/** @type {Transport[]} */
const TRANSPORTS = ["websocket", "sse", "poll"];
const FINAL_CODES = new Set(["deleted", "unauthorized", "history_damaged"]);

/** The service refused: a problem (RFC 9457), or an answer of something in between. */
export class Problem extends Error {
  /**
   * @param {Record<string, any>} body Its members; `code` is absent where the answer was none of the service's.
   * @param {number} [retryMs] How long to wait at least before asking again.
   */
  constructor(body, retryMs = 0) {
    super(body.detail ?? body.title ?? `status ${body.status}`);
    this.name = "Problem";
    /** @type {string | undefined} */
    this.code = body.code;
    /** @type {number | undefined} */
    this.status = body.status;
    this.body = body;
    this.retryMs = retryMs;
  }

  /** Whether asking again is of no use. */
  get isFinal() {
    if (FINAL_CODES.has(this.code ?? "")) return true;
    return this.status === undefined || (this.status < 500 && ![408, 425, 429].includes(this.status));
  }

  /** @param {Response} response */
  static async of(response) {
    const retryMs = Math.min(1000 * (Number(response.headers.get("Retry-After")) || 0), LONGEST_MS);
    const isProblem = response.headers.get("Content-Type")?.startsWith("application/problem+json");
    const body = (isProblem && (await response.json().catch(() => null))) || { title: response.statusText || undefined };
    return new Problem({ ...body, status: response.status }, retryMs);
  }
}

/** A connection was lost, or never came about. */
class ConnectionLost extends Error {
  /**
   * @param {string} message
   * @param {number} [retryMs] How long to wait at least before connecting again.
   */
  constructor(message, retryMs = 0) {
    super(message);
    this.name = "ConnectionLost";
    this.retryMs = retryMs;
  }
}

/** Reads an event stream, however its bytes are cut (HTML Standard, "Interpreting an event stream"). */
export class SseParser {
  #decoder = new TextDecoder(); // drops a byte order mark, and joins characters that were cut
  #rest = "";
  #endsInReturn = false;
  #size = 0;
  /** @type {string[]} */
  #data = [];
  #event = "";
  /** The last `id`, which holds until another comes. */
  lastEventId = "";
  /** @type {number | undefined} The last `retry`, in milliseconds. */
  retryMs;

  /**
   * Take bytes, and return the blocks that are whole now.
   * @param {Uint8Array} bytes
   * @returns {{event: string, data: string, id: string}[]}
   */
  push(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === "") return [];
    if (this.#endsInReturn && text.startsWith("\n")) text = text.slice(1);
    this.#endsInReturn = text.endsWith("\r");
    const lines = text.split(/\r\n|\n|\r/);
    lines[0] = this.#rest + lines[0];
    this.#rest = lines.pop() ?? "";
    this.#size += text.length;
    if (this.#size > LONGEST_BLOCK && lines.every((line) => line !== "")) throw new ConnectionLost("an event has no end");
    if (lines.includes("")) this.#size = this.#rest.length;
    const blocks = [];
    for (const line of lines) {
      if (line !== "") {
        this.#take(line);
        continue;
      }
      if (this.#data.length > 0) {
        blocks.push({ event: this.#event || "message", data: this.#data.join("\n"), id: this.lastEventId });
      }
      this.#data = [];
      this.#event = "";
    }
    return blocks;
  }

  /** @param {string} line */
  #take(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.lastEventId = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.retryMs = Number(value);
  }
}

/** When to try again: full jitter, so that clients that were cut together do not come back together. */
class Retry {
  #attempt = 0;
  #options;

  /** @param {ServiceOptions} options */
  constructor({ attempts = Infinity, baseMs = 500, capMs = 15_000 }) {
    this.#options = { attempts, baseMs, capMs };
  }

  /** Begin to count anew, since it worked. */
  reset() {
    this.#attempt = 0;
  }

  /**
   * Return how long to wait after a failure. Throws the failure where trying again is of no use.
   * @param {unknown} reason
   */
  after(reason) {
    const { attempts, baseMs, capMs } = this.#options;
    const error = reason instanceof Error ? reason : new Error(String(reason));
    if ((error instanceof Problem && error.isFinal) || this.#attempt >= attempts) throw error;
    const atLeast = error instanceof Problem || error instanceof ConnectionLost ? error.retryMs : 0;
    const atMost = Math.min(capMs, baseMs * 2 ** this.#attempt);
    this.#attempt += 1;
    return { attempt: this.#attempt, delayMs: Math.round(atLeast + Math.random() * atMost), reason: error };
  }
}

/** Which transports to try, in which order. What failed while a lower one worked is left alone for a while. */
class Ladder {
  #lowest = 0;
  #until = 0;
  #pauseMs = CLIMB_MS[0];

  /** @param {Transport[]} transports The best one first. */
  constructor(transports) {
    this.transports = transports;
  }

  /** The transports to try now. */
  get now() {
    return this.transports.slice(Date.now() < this.#until ? this.#lowest : 0);
  }

  /**
   * Remember that a transport works, and that those before it did not.
   * @param {Transport} transport
   * @param {boolean} hasFallen
   */
  worked(transport, hasFallen) {
    const rank = this.transports.indexOf(transport);
    if (rank === 0) this.#pauseMs = CLIMB_MS[0];
    if (!hasFallen) return;
    this.#lowest = rank;
    this.#until = Date.now() + this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, CLIMB_MS[1]);
  }

  /**
   * Whether it is time to try a better one again.
   * @param {Transport} transport
   */
  isOver(transport) {
    return transport !== this.transports[0] && Date.now() >= this.#until;
  }
}

/** What a subscription has received and nobody has taken yet. */
class Inbox {
  /** @type {(GraphEvent | Notice)[]} */
  #items = [];
  /** @type {Error | undefined} */
  #failure;
  #wake = () => {};

  /** @param {GraphEvent | Notice} item */
  put(item) {
    this.#items.push(item);
    this.#wake();
  }

  /** @param {Error} failure */
  fail(failure) {
    this.#failure ??= failure;
    this.#wake();
  }

  /**
   * Wait for the next items, and take all that are there.
   * @param {AbortSignal} signal
   */
  async take(signal) {
    while (this.#items.length === 0) {
      if (this.#failure) throw this.#failure;
      await abortable(new Promise((resolve) => (this.#wake = () => resolve(undefined))), signal);
    }
    return this.#items.splice(0);
  }
}

/** A WebSocket that speaks JSON-RPC 2.0 and carries the subscriptions of many streams. */
class Socket {
  #socket;
  #lastId = 0;
  /** @type {Map<number, {resolve: (result: any) => void, reject: (error: Error) => void, inbox?: Inbox}>} */
  #calls = new Map();
  /** @type {Map<string | number, Inbox>} */
  #inboxes = new Map();
  isClosed = false;
  /** How many streams hold it. */
  users = 0;

  /**
   * @param {new (url: string, protocols: string[]) => WebSocket} WebSocketClass
   * @param {string} url
   * @param {string[]} protocols
   */
  constructor(WebSocketClass, url, protocols) {
    const socket = new WebSocketClass(url, protocols);
    this.#socket = socket;
    /** @type {Promise<unknown>} */
    this.opened = new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new ConnectionLost("the WebSocket could not be opened"));
      socket.onclose = ({ code }) => {
        const lost = new ConnectionLost(`the WebSocket was closed with ${code}`);
        const failure = code === 4401 ? new Problem({ code: "unauthorized", status: 401, title: "Unauthorized" }) : lost;
        reject(failure);
        this.#end(failure);
      };
    });
    this.opened.catch(() => {}); // whoever waits hears of it; nobody may
    socket.onmessage = ({ data }) => {
      try {
        this.#receive(JSON.parse(data));
      } catch (error) {
        this.#end(new ConnectionLost(`the WebSocket said what is none: ${error}`));
        socket.close();
      }
    };
  }

  /**
   * Send a request and wait for its result.
   * @param {string} method
   * @param {Record<string, unknown>} params
   * @param {Inbox} [inbox] Takes the events of the subscription that results.
   * @returns {Promise<any>}
   */
  call(method, params, inbox) {
    return new Promise((resolve, reject) => {
      if (this.isClosed) {
        reject(new ConnectionLost("the WebSocket is closed"));
        return;
      }
      const id = ++this.#lastId;
      this.#calls.set(id, { resolve, reject, inbox });
      this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }

  /**
   * Forget a subscription.
   * @param {string | number} subscription
   */
  leave(subscription) {
    this.#inboxes.delete(subscription);
    this.call("execution.unsubscribe", { subscription }).catch(() => {});
  }

  /** Give it back; the last one closes it. */
  release() {
    this.users -= 1;
    if (this.users === 0) this.close();
  }

  /** Close it, whoever holds it. */
  close() {
    this.#end(new ConnectionLost("the WebSocket was closed"));
    this.#socket.close(1000);
  }

  /** @param {any} message */
  #receive({ id, method, params, result, error }) {
    if (method === "event" || method === "notice") {
      this.#inboxes.get(params.subscription)?.put(params[method]);
      return;
    }
    const call = this.#calls.get(id);
    if (call === undefined) return;
    this.#calls.delete(id);
    if (error) {
      call.reject(new Problem(error.data ?? { detail: error.message }, 1000 * (error.data?.retry_after_s ?? 0)));
      return;
    }
    // At once: the events may be in what was received together with the result.
    if (call.inbox) this.#inboxes.set(result.subscription, call.inbox);
    call.resolve(result);
  }

  /** @param {Error} failure */
  #end(failure) {
    this.isClosed = true;
    for (const { reject } of this.#calls.values()) reject(failure);
    for (const inbox of this.#inboxes.values()) inbox.fail(failure);
    this.#calls.clear();
    this.#inboxes.clear();
  }
}

/** A service, and what is remembered of the way there. Streams of one object share a WebSocket. */
export class Graphwire {
  #url;
  #options;
  /** @type {Socket | undefined} */
  #socket;

  /**
   * @param {string | URL} [url] Where the service is; the one that this module came from unless given.
   * @param {ServiceOptions} [options]
   */
  constructor(url = new URL(".", import.meta.url), options = {}) {
    this.#url = new URL(url);
    if (!/^https?:$/.test(this.#url.protocol)) throw new TypeError("name the service: new Graphwire(\"http://…\")");
    if (!this.#url.pathname.endsWith("/")) this.#url.pathname += "/";
    this.#options = options;
    const { transport = "auto", WebSocket = globalThis.WebSocket } = options;
    if (transport !== "auto" && !TRANSPORTS.includes(transport)) throw new TypeError(`no transport: ${transport}`);
    const usable = TRANSPORTS.filter((each) => each !== "websocket" || WebSocket !== undefined);
    /** @internal */
    this.ladder = new Ladder(transport === "auto" ? usable : [transport]);
  }

  /**
   * Start a graph and follow it from its first event on. A start whose answer was lost is repeated and starts nothing
   * anew.
   * @param {string} graphId
   * @param {Record<string, unknown>} [request] `state`, `entry`, `seed`, `limits`, …
   * @param {RunOptions} [options]
   */
  run(graphId, request = {}, { idempotencyKey = randomKey(), ...options } = {}) {
    const path = `/graphs/${named(graphId)}/execute`;
    return new Stream(this, options, async (signal) => {
      const { id } = await this.send("POST", path, request, idempotencyKey, signal);
      return executionSource(id);
    });
  }

  /**
   * Follow an execution that was started before, or read one that has ended.
   * @param {string} executionId
   * @param {StreamOptions} [options]
   */
  follow(executionId, options = {}) {
    const source = executionSource(executionId);
    return new Stream(this, options, async () => source);
  }

  /**
   * Follow what happens in the service: its graphs, its executions, itself. It has no end.
   * @param {ServiceStreamOptions} [options]
   */
  events({ topics, ...options } = {}) {
    const source = { path: "/events", method: "service.subscribe", params: { topics } };
    return new Stream(this, options, async () => source);
  }

  /**
   * Start a graph and follow nothing.
   * @param {string} graphId
   * @param {Record<string, unknown>} [request]
   * @param {CommandOptions} [options]
   * @returns {Promise<Record<string, any>>} The execution: `id`, `status`, `links`, ….
   */
  start(graphId, request = {}, options = {}) {
    return this.#command("POST", `/graphs/${named(graphId)}/execute`, request, options);
  }

  /**
   * Ask for an execution's cancellation.
   * @param {string} executionId
   * @param {string} [reason]
   * @param {CommandOptions} [options]
   * @returns {Applied}
   */
  cancel(executionId, reason, options = {}) {
    return this.#steer(executionId, "cancel", { reason }, options);
  }

  /**
   * Have nothing more begin; what runs goes on to its end.
   * @param {string} executionId
   * @param {CommandOptions} [options]
   * @returns {Applied}
   */
  pause(executionId, options = {}) {
    return this.#steer(executionId, "pause", {}, options);
  }

  /**
   * Go on after a pause.
   * @param {string} executionId
   * @param {CommandOptions} [options]
   * @returns {Applied}
   */
  resume(executionId, options = {}) {
    return this.#steer(executionId, "resume", {}, options);
  }

  /**
   * Make the next step of a paused execution.
   * @param {string} executionId
   * @param {"over" | "into" | "out"} [mode]
   * @param {CommandOptions} [options]
   * @returns {Applied}
   */
  step(executionId, mode = "over", options = {}) {
    return this.#steer(executionId, "step", { mode }, options);
  }

  /**
   * Answer what a node waits for.
   * @param {string} executionId
   * @param {string} interruptId
   * @param {unknown} value Any JSON value.
   * @param {CommandOptions} [options]
   * @returns {Applied}
   */
  input(executionId, interruptId, value, options = {}) {
    return this.#steer(executionId, "input", { interrupt_id: interruptId, value }, options);
  }

  /**
   * Say where an execution pauses by itself; these take the place of those before.
   * @param {string} executionId
   * @param {Breakpoint[]} breakpoints
   * @param {CommandOptions} [options]
   * @returns {Applied}
   */
  setBreakpoints(executionId, breakpoints, options = {}) {
    return this.#steer(executionId, "breakpoints", breakpoints, options, "PUT");
  }

  /**
   * Change the state of a paused execution, by a JSON Merge Patch (RFC 7396).
   * @param {string} executionId
   * @param {Record<string, unknown>} patch
   * @param {CommandOptions} [options]
   * @returns {Applied}
   */
  editState(executionId, patch, options = {}) {
    return this.#steer(executionId, "state", patch, options, "PATCH");
  }

  /**
   * Send a request once. Throws a `Problem` where it is refused.
   * @param {string} path
   * @param {RequestInit & {headers?: Record<string, string>}} [init]
   */
  async request(path, init = {}) {
    const { apiKey, fetch = globalThis.fetch } = this.#options;
    const headers = { ...(apiKey && { Authorization: `Bearer ${apiKey}` }), ...init.headers };
    const response = await fetch(new URL(path.slice(1), this.#url), { cache: "no-store", ...init, headers });
    if (!response.ok) throw await Problem.of(response);
    return response;
  }

  /**
   * Send a command once.
   * @internal
   * @param {string} method
   * @param {string} path
   * @param {unknown} body
   * @param {string} key
   * @param {AbortSignal | undefined} signal
   */
  async send(method, path, body, key, signal) {
    const controller = new AbortController();
    const abort = () => controller.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    const headers = { "Content-Type": type, "Idempotency-Key": key };
    const init = { method, headers, body: JSON.stringify(body), signal: controller.signal };
    try {
      return await within(CONNECT_MS, controller, this.request(path, init).then((response) => response.json()));
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * Take hold of the WebSocket, to `release()` it. It may not be open yet.
   * @internal
   */
  socket() {
    if (this.#socket === undefined || this.#socket.isClosed) {
      const { apiKey, WebSocket = globalThis.WebSocket } = this.#options;
      const url = new URL(`ws?heartbeat=${HEARTBEAT_S}`, this.#url);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      const protocols = ["graphwire.v1", ...(apiKey ? [`bearer.${apiKey}`] : [])];
      this.#socket = new Socket(WebSocket, url.href, protocols);
    }
    this.#socket.users += 1;
    return this.#socket;
  }

  /** @internal */
  retry() {
    return new Retry(this.#options);
  }

  /**
   * @param {string} executionId
   * @param {string} command
   * @param {unknown} body
   * @param {CommandOptions} options
   * @param {string} [method]
   */
  #steer(executionId, command, body, options, method = "POST") {
    return this.#command(method, `/executions/${named(executionId)}/${command}`, body, options);
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} body
   * @param {CommandOptions} options
   */
  async #command(method, path, body, { idempotencyKey = randomKey(), signal = new AbortController().signal }) {
    const retry = this.retry();
    for (;;) {
      try {
        return await this.send(method, path, body, idempotencyKey, signal);
      } catch (error) {
        signal.throwIfAborted();
        const { delayMs } = retry.after(error);
        /** @type {ReturnType<typeof setTimeout> | undefined} */
        let timer;
        const wait = new Promise((resolve) => (timer = setTimeout(resolve, delayMs)));
        await abortable(wait, signal).finally(() => clearTimeout(timer));
      }
    }
  }
}

/**
 * The events of one execution, or of the service, each once and in order, to its end: iterate over it once, or give it `onEvent`.
 * Without `onEvent` it begins when it is iterated over, and reads no faster than it is.
 */
export class Stream {
  #service;
  #options;
  #begin;
  #events;
  #closing = new AbortController();
  #connection = new AbortController();
  #wake = () => {};
  #isStale = false;
  /** @type {Source | undefined} */
  #source;
  /** The number up to which the history is read. */
  cursor;
  /** @type {Status} */
  status = { name: "connecting" };
  /** Closes it. Bound to it, so that it can be handed on. */
  close = () => {
    if (this.#closing.signal.aborted) return;
    this.#options.signal?.removeEventListener("abort", this.close);
    this.#closing.abort();
    this.#connection.abort();
    this.#wake();
  };

  /**
   * @internal
   * @param {Graphwire} service
   * @param {StreamOptions} options
   * @param {(signal: AbortSignal) => Promise<Source>} begin
   */
  constructor(service, options, begin) {
    this.#service = service;
    this.#options = { ...options };
    this.#begin = begin;
    this.cursor = options.after ?? 0;
    this.#events = this.#read();
    if (options.signal?.aborted) this.close();
    options.signal?.addEventListener("abort", this.close);
    if (options.onEvent) this.#drive(options.onEvent);
  }

  /** The execution that is followed, known from its start on; of the service's own stream there is none. */
  get executionId() {
    return this.#source?.executionId;
  }

  [Symbol.asyncIterator]() {
    return this.#events;
  }

  /**
   * Ask for the execution's cancellation. The stream goes on to its end.
   * @param {string} [reason]
   */
  async cancel(reason) {
    const id = this.executionId;
    if (id === undefined) throw new Error("there is no execution, or it has not started yet");
    return this.#service.cancel(id, reason);
  }

  /**
   * Change which events come, for those behind `cursor`.
   * @param {Filter} filter
   */
  filter({ types, nodes }) {
    this.#options = { ...this.#options, types, nodes };
    this.#isStale = true;
    this.#connection.abort();
  }

  /** Connect at once, where it waits to do so. */
  reconnectNow() {
    this.#wake();
  }

  /** @param {(event: GraphEvent | Notice) => unknown} onEvent */
  async #drive(onEvent) {
    try {
      for await (const event of this) await onEvent(event);
    } catch (error) {
      if (!this.#options.onError) throw error; // where the browser, or Node.js, tells of what nobody handles
      this.#options.onError(/** @type {Error} */ (error));
    }
  }

  async *#read() {
    const retry = this.#service.retry();
    if (!this.#closing.signal.aborted) this.#tell({ name: "connecting" });
    try {
      while (!this.#closing.signal.aborted) {
        try {
          this.#source ??= await this.#begin(this.#closing.signal);
          for await (const { batch, transport, works } of this.#connect(this.#source)) {
            if (works) retry.reset();
            if (this.status.name !== "live" || this.status.transport !== transport) this.#tell({ name: "live", transport });
            for (const item of batch.items) {
              if (this.#isNews(item)) yield item;
              if (this.#closing.signal.aborted) return;
              if (this.#isStale) break; // the rest went through another filter
              if (item.type === "stream_end") batch.isLast = true;
            }
            if (batch.isLast && !this.#isStale) {
              this.#tell({ name: "ended" });
              return;
            }
          }
        } catch (error) {
          if (this.#closing.signal.aborted) return;
          await this.#pause(retry.after(error));
        }
      }
    } catch (error) {
      this.#tell({ name: "failed", reason: /** @type {Error} */ (error) });
      throw error;
    } finally {
      this.close();
    }
  }

  /**
   * Move the cursor, and return whether the item belongs to the history and is new.
   * @param {GraphEvent | Notice} item
   * @returns {boolean}
   */
  #isNews(item) {
    if (item.seq !== undefined) {
      if (item.seq <= this.cursor) return false;
      this.cursor = item.seq;
      return true;
    }
    const isGap = item.type === "stream_lagged";
    this.cursor = Math.max(this.cursor, (isGap ? item.data.to_seq : item.after) ?? 0);
    call(this.#options.onNotice, item);
    if (item.type === "stream_closed") {
      const { code, detail = code, retry_ms: retryMs } = item.data;
      throw FINAL_CODES.has(code) ? new Problem({ code, detail }) : new ConnectionLost(detail, retryMs);
    }
    return isGap;
  }

  /**
   * Read over the best transport that works. Ends where a better one, or another filter, is to be tried.
   * @param {Source} source
   */
  async *#connect(source) {
    const { ladder } = this.#service;
    /** @type {unknown} */
    let failure;
    for (const transport of ladder.now) {
      const controller = (this.#connection = new AbortController());
      if (this.#closing.signal.aborted) return;
      let isOpen = false;
      let works = false;
      this.#isStale = false;
      try {
        for await (const batch of this.#over(transport, source, controller)) {
          if (isOpen && !works && batch.items[0]?.type !== "stream_closed") {
            works = true;
            ladder.worked(transport, failure !== undefined);
          }
          isOpen = true;
          yield { batch, transport, works };
          if (this.#isStale || (works && ladder.isOver(transport))) return;
        }
        throw new ConnectionLost("the connection ended before the stream did");
      } catch (error) {
        if (this.#isStale) return;
        const reason = controller.signal.aborted ? controller.signal.reason : error;
        const isAnswer = reason instanceof Problem && reason.code !== undefined;
        if (works || isAnswer || this.#closing.signal.aborted) throw reason;
        failure = reason;
      } finally {
        controller.abort();
      }
    }
    throw failure;
  }

  /**
   * @param {Transport} transport
   * @param {Source} source
   * @param {AbortController} controller Ends the connection.
   * @returns {AsyncGenerator<Batch>}
   */
  #over(transport, source, controller) {
    if (transport === "websocket") return this.#overSocket(source, controller);
    return transport === "sse" ? this.#overSse(source, controller) : this.#overPolls(source, controller);
  }

  /**
   * @param {Source} source
   * @param {AbortController} controller
   * @returns {AsyncGenerator<Batch>}
   */
  async *#overSocket(source, controller) {
    const { signal } = controller;
    const socket = this.#service.socket();
    const inbox = new Inbox();
    let subscribing;
    try {
      await within(CONNECT_MS, controller, abortable(socket.opened, signal));
      const { types, nodes } = this.#options;
      const asked = source.executionId === undefined ? {} : { types, nodes, credit: CREDIT };
      const params = { ...source.params, ...asked, after: this.cursor };
      subscribing = socket.call(source.method, params, inbox);
      const { subscription, ended } = await within(CONNECT_MS, controller, abortable(subscribing, signal));
      if (source.executionId === undefined) grant(socket, subscription, CREDIT);
      yield { items: [] };
      yield { items: [], isLast: ended }; // an answer: it works
      for (let taken = 0; ; ) {
        const items = await within(SILENCE_MS, controller, inbox.take(signal));
        yield { items };
        taken += items.filter((item) => item.seq !== undefined).length;
        if (taken < CREDIT / 2) continue;
        grant(socket, subscription, taken);
        taken = 0;
      }
    } finally {
      if (signal.reason instanceof ConnectionLost) socket.close(); // it does not answer
      const left = subscribing?.then(({ subscription }) => socket.leave(subscription));
      Promise.resolve(left)
        .catch(() => {})
        .finally(() => socket.release());
    }
  }

  /**
   * @param {Source} source
   * @param {AbortController} controller
   * @returns {AsyncGenerator<Batch>}
   */
  async *#overSse(source, controller) {
    const response = await this.#get(source, { heartbeat: HEARTBEAT_S }, "text/event-stream", controller, CONNECT_MS);
    if (response.status === 204) {
      yield { items: [], isLast: true };
      return;
    }
    if (!response.body || !response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
      throw new ConnectionLost("the answer is no event stream");
    }
    yield { items: [] };
    const reader = response.body.getReader();
    const parser = new SseParser();
    for (;;) {
      const { done, value } = await within(SILENCE_MS, controller, reader.read());
      if (done) return;
      yield { items: parser.push(value).map(({ data }) => JSON.parse(data)) };
    }
  }

  /**
   * @param {Source} source
   * @param {AbortController} controller
   * @returns {AsyncGenerator<Batch>}
   */
  async *#overPolls(source, controller) {
    for (let wait = 0; ; wait = POLL_S) {
      const response = await this.#get(source, { wait }, "application/json", controller, CONNECT_MS + 1000 * wait);
      const page = await within(CONNECT_MS, controller, response.json());
      if (wait === 0) yield { items: [] };
      yield { items: page.lagged ? [page.lagged, ...page.events] : page.events, isLast: page.ended };
      this.cursor = page.next; // behind what a filter left out
    }
  }

  /**
   * @param {Source} source
   * @param {Record<string, unknown>} query
   * @param {string} accept
   * @param {AbortController} controller
   * @param {number} ms How long the head of the answer may take.
   */
  #get(source, query, accept, controller, ms) {
    const { types, nodes } = this.#options;
    const { topics } = source.params;
    const wanted = { after: this.cursor, ...query, ...(types && { types }), ...(nodes && { nodes }), ...(topics ? { topics } : {}) };
    const parameters = Object.entries(wanted).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
    const init = { headers: { Accept: accept }, signal: controller.signal };
    return within(ms, controller, this.#service.request(`${source.path}?${parameters.join("&")}`, init));
  }

  /** @param {Status} status */
  #tell(status) {
    this.status = status;
    call(this.#options.onStatus, status);
  }

  /**
   * Wait, but no longer than until the network or the page is back, or somebody wants to go on.
   * @param {{attempt: number, delayMs: number, reason: Error}} wait
   */
  async #pause(wait) {
    const isBack = () => globalThis.document?.visibilityState !== "hidden" && this.#wake();
    const signs = ["online", "visibilitychange"];
    for (const name of signs) globalThis.addEventListener?.(name, isBack);
    let timer;
    await new Promise((resolve) => {
      this.#wake = () => resolve(undefined);
      timer = setTimeout(this.#wake, wait.delayMs);
      this.#tell({ name: "reconnecting", ...wait }); // last: whoever hears it may close, or not want to wait
    });
    clearTimeout(timer);
    for (const name of signs) globalThis.removeEventListener?.(name, isBack);
  }
}

/**
 * Start a graph of the service that this module came from, and hand its events over.
 * @param {string} graphId
 * @param {Record<string, unknown>} request
 * @param {(event: GraphEvent | Notice) => unknown} onEvent
 * @param {(error: Error) => unknown} [onError]
 * @param {ServiceOptions & RunOptions & {url?: string | URL}} [options]
 * @returns {() => void} Ends it. The execution goes on, unless it was started with `on_disconnect: "cancel"`.
 */
export function streamExecuteGraph(graphId, request, onEvent, onError, { url, ...options } = {}) {
  return new Graphwire(url, options).run(graphId, request, { ...options, onEvent, onError }).close;
}

/**
 * Call what the caller gave. What it throws is told where nobody handles it, and does not harm the stream.
 * @template T
 * @param {((value: T) => unknown) | undefined} callback
 * @param {T} value
 */
function call(callback, value) {
  try {
    callback?.(value);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/**
 * An execution as what a stream is read from.
 * @param {string} id
 * @returns {Source}
 */
function executionSource(id) {
  const params = { execution_id: id };
  return { path: `/executions/${named(id)}/events`, method: "execution.subscribe", params, executionId: id };
}

/**
 * A name as a part of a path. Those that an address takes for a way to elsewhere are none.
 * @param {string} name
 */
function named(name) {
  if (["", ".", ".."].includes(name)) throw new TypeError(`no name: "${name}"`);
  return encodeURIComponent(name);
}

/**
 * Let a subscription send so many events more.
 * @param {Socket} socket
 * @param {string | number} subscription
 * @param {number} events
 */
function grant(socket, subscription, events) {
  socket.call("stream.credit", { subscription, events }).catch(() => {});
}

/** A key that no other start has. (`crypto.randomUUID` is for pages that came over TLS.) */
function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Wait for something that a controller can end, and let it do so after some time.
 * @template T
 * @param {number} ms
 * @param {AbortController} controller
 * @param {Promise<T>} promise
 */
async function within(ms, controller, promise) {
  const silent = () => controller.abort(new ConnectionLost(`nothing came for ${ms / 1000} s`));
  const timer = setTimeout(silent, ms);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Wait for something, but no longer than a signal allows.
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
function abortable(promise, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
