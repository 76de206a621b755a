// Shows the description of the API, and makes its examples run as they stand: where one names the execution of the
// examples, the request goes to the newest execution that this service has.
"use strict";

const EXECUTION_OF_EXAMPLES = "01a1ff63-ccdc-754a-9525-3c87d1892412";

async function newestExecution(headers, query) {
  const kept = headers.Authorization ? { Authorization: headers.Authorization } : {};
  const answer = await fetch("/executions?limit=1" + query, { headers: kept });
  if (!answer.ok) return undefined;
  return (await answer.json()).items[0]?.id;
}

// What steers an execution wants one that it fits, and what deletes it one that has ended.
function fitting(request) {
  const path = request.url.split("?")[0];
  if (request.method === "DELETE") return "&status=completed,failed,cancelled";
  if (path.endsWith("/input")) return "&waiting=true";
  return /\/(resume|step)$/.test(path) || request.method === "PATCH" ? "&status=paused" : "&status=running";
}

async function withExecution(request) {
  if (!request.url.includes(EXECUTION_OF_EXAMPLES)) return request;
  const headers = request.headers ?? {};
  const found = (await newestExecution(headers, fitting(request))) ?? (await newestExecution(headers, ""));
  if (found !== undefined) request.url = request.url.replace(EXECUTION_OF_EXAMPLES, found);
  return request;
}

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  requestInterceptor: withExecution,
  tryItOutEnabled: true,
  validatorUrl: null, // else pages that are not on localhost ask a foreign service for a badge
});
