// Shows the description of the WebSockets, and lets each method be tried: its example goes to the newest execution that
// this service has, and to the newest subscription of the socket.

const EXECUTION_OF_EXAMPLES = "01a1ff63-ccdc-754a-9525-3c87d1892412";
const SUBSCRIPTION_OF_EXAMPLES = /"subscription": "s\d+"/;
const MOST_LINES = 500;
/** What only a client can say. */
const LOST = { 1006: "The connection was lost, or refused: a request over HTTP says why." };

const description = await (await fetch("/asyncapi.json")).json();
const CLOSE_CODES = { ...description["x-close-codes"], ...LOST };
let socket;
let subscription = "s1";
let lastId = 0;

const byId = (id) => document.getElementById(id);

/** Make an element. What it shows is text, whatever it holds. */
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Follow references into the description. */
function resolve(value) {
  if (!value?.$ref) return value ?? {};
  return resolve(value.$ref.slice(2).split("/").reduce((at, key) => at[key.replace(/~1/g, "/")], description));
}

/** Text in which `code` is marked. */
function marked(text) {
  return text.split("`").map((part, index) => (index % 2 ? element("code", { textContent: part }) : part));
}

function typeOf(schema) {
  const { type, items, anyOf, enum: values, const: value } = resolve(schema);
  if (value !== undefined) return JSON.stringify(value);
  if (values) return values.map((each) => JSON.stringify(each)).join(" or ");
  if (anyOf) return anyOf.map(typeOf).join(" or ");
  return type === "array" ? `${typeOf(items)}, …` : [type ?? "any"].flat().join(" or ");
}

function members(schema) {
  const { properties = {}, required = [] } = resolve(schema);
  const rows = Object.entries(properties).map(([name, member]) =>
    element(
      "tr",
      {},
      element("td", {}, element("code", { textContent: name })),
      element("td", { textContent: typeOf(member) + (required.includes(name) ? ", needed" : "") }),
      element("td", {}, ...marked(member.description ?? resolve(member).description ?? "")),
    ),
  );
  return rows.length ? element("table", {}, ...rows) : element("p", { textContent: "Nothing." });
}

// What a command wants to be about, where there is such an execution.
const FITTING = {
  "execution.cancel": "&status=running",
  "execution.pause": "&status=running",
  "execution.set_breakpoints": "&status=running",
  "execution.resume": "&status=paused",
  "execution.step": "&status=paused",
  "execution.edit_state": "&status=paused",
  "execution.input": "&waiting=true",
};

async function newestExecution(fitting) {
  const key = byId("key").value;
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  for (const query of fitting ? [fitting, ""] : [""]) {
    const answer = await fetch(`/executions?limit=1${query}`, { headers });
    const found = answer.ok && (await answer.json()).items[0]?.id;
    if (found) return found;
  }
  return EXECUTION_OF_EXAMPLES;
}

/** Put a method's example into the message, for what there is here. */
async function choose(example) {
  let text = JSON.stringify({ ...example, id: ++lastId }, null, 2);
  if (text.includes(EXECUTION_OF_EXAMPLES)) {
    text = text.replace(EXECUTION_OF_EXAMPLES, await newestExecution(FITTING[example.method]));
  }
  byId("message").value = text.replace(SUBSCRIPTION_OF_EXAMPLES, `"subscription": "${subscription}"`);
  byId("message").focus();
}

function showMethods() {
  for (const operation of Object.values(description.operations)) {
    if (operation.action !== "receive") continue;
    const { name, payload, examples } = resolve(resolve(operation.messages[0]));
    const result = resolve(resolve(operation.reply.messages[0])).payload.properties.result;
    const tried = element("button", { type: "button", textContent: "Choose", onclick: () => choose(examples[0].payload) });
    tried.setAttribute("aria-label", `Choose ${name}`);
    byId("methods").append(
      element(
        "details",
        {},
        element("summary", {}, element("code", { textContent: name })),
        element("p", {}, ...marked(operation.summary), " ", ...marked(operation.description ?? "")),
        element("h3", { textContent: "Parameters" }),
        members(payload.properties.params),
        element("h3", { textContent: "Result" }),
        members(result),
        element("h3", { textContent: "Example" }),
        element("pre", { textContent: JSON.stringify(examples[0].payload, null, 2) }),
        tried,
      ),
    );
  }
}

function showAddresses() {
  for (const { address, description: text } of Object.values(description.channels)) {
    const row = [element("td", {}, element("code", { textContent: address })), element("td", {}, ...marked(text))];
    byId("addresses").append(element("tr", {}, ...row));
    byId("address").append(element("option", { textContent: address }));
  }
}

function showCodes() {
  const { code } = description.components.messages.error.payload.properties.error.properties;
  const errors = code.oneOf.map((each) => [each.const, each.description]);
  for (const [table, rows] of Object.entries({ errors, codes: Object.entries(CLOSE_CODES) })) {
    for (const [number, text] of rows) {
      byId(table).append(element("tr", {}, element("td", { textContent: number }), element("td", {}, ...marked(text))));
    }
  }
}

async function showParameters() {
  const channel = Object.values(description.channels).find(({ address }) => address === byId("address").value);
  const inputs = Object.entries(channel.parameters ?? {}).map(async ([name, { examples }]) => {
    const value = examples[0] === EXECUTION_OF_EXAMPLES ? await newestExecution() : examples[0];
    return element("label", { textContent: `${name} ` }, element("input", { name, value }));
  });
  byId("parameters").replaceChildren(...(await Promise.all(inputs)));
}

function log(sign, title, text) {
  const list = byId("log");
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const time = new Date().toTimeString().slice(0, 8);
  const head = element("summary", {}, `${time} ${sign} `, element("code", { textContent: title }));
  list.append(element("li", {}, element("details", {}, head, element("pre", { textContent: text }))));
  while (list.children.length > MOST_LINES) list.firstChild.remove();
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

function receive({ data }) {
  const message = JSON.parse(data);
  const { id, method, params, result, error } = message;
  if (method === "notice" && !byId("notices").checked) return;
  if (result?.subscription) subscription = result.subscription;
  const item = params?.event ?? params?.notice;
  const title = item
    ? [params.subscription, item.seq ?? "notice", item.type, item.node_id].filter(Boolean).join(" ")
    : error
      ? `${id ?? "no id"}: error ${error.code} ${error.data?.code ?? error.message}`
      : `${id}: ${JSON.stringify(result).slice(0, 100)}`;
  log("←", title, JSON.stringify(message, null, 2));
}

function tell(text, isOpen) {
  byId("state").textContent = text;
  byId("connect").textContent = isOpen ? "Disconnect" : "Connect";
  byId("send").disabled = !isOpen;
}

function connect() {
  const address = byId("address").value.replace(/\{(\w+)\}/g, (_, name) =>
    encodeURIComponent(byId("parameters").querySelector(`[name=${name}]`).value),
  );
  const key = byId("key").value;
  const own = new WebSocket(location.origin.replace("http", "ws") + address, ["graphwire.v1", ...(key ? [`bearer.${key}`] : [])]);
  socket = own;
  tell("connecting", true);
  byId("send").disabled = true;
  own.onopen = () => tell(`connected to ${address}`, true);
  own.onmessage = receive;
  own.onclose = ({ code, reason }) => {
    if (socket !== own) return;
    socket = undefined;
    tell(`closed with ${code}. ${reason || (CLOSE_CODES[code] ?? "")}`, false);
  };
}

byId("connection").onsubmit = (event) => {
  event.preventDefault();
  try {
    if (socket) socket.close(1000);
    else connect();
  } catch (error) {
    tell(error.message, false);
  }
};

byId("sending").onsubmit = (event) => {
  event.preventDefault();
  const text = byId("message").value;
  try {
    const { id, method } = JSON.parse(text);
    socket.send(text);
    log("→", `${id ?? "no reply"}: ${method}`, text);
    byId("fault").textContent = "";
  } catch (error) {
    byId("fault").textContent = `Nothing was sent: ${error.message}`;
  }
};

byId("address").onchange = showParameters;
byId("clear").onclick = () => byId("log").replaceChildren();

showAddresses();
showMethods();
showCodes();
await showParameters();
await choose(resolve(resolve(description.operations["execution.start"].messages[0])).examples[0].payload);
