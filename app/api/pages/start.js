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

async function withExecution(request) {
  if (!request.url.includes(EXECUTION_OF_EXAMPLES)) return request;
  const headers = request.headers ?? {};
  // What steers an execution wants one that runs, and what deletes it one that has ended.
  const wanted = request.method === "DELETE" ? "completed,failed,cancelled" : "running";
  const found = (await newestExecution(headers, "&status=" + wanted)) ?? (await newestExecution(headers, ""));
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
