// The server's interface as these pages use it.

// Refusal is an answer that is no success, in the server's words.
export class Refusal extends Error {
  constructor(status, text, request, retry) {
    super(text);
    this.status = status; // 0: there was no answer
    this.request = request; // its id in the server's log
    this.retry = retry; // seconds
  }
}

// The bearer token of a server that wants one lasts as long as the tab.
let token = sessionStorage.getItem("token");

export function setToken(t) {
  token = t;
  sessionStorage.setItem("token", t);
}

async function ask(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  if (token) headers.Authorization = "Bearer " + token;
  let r, text;
  try {
    r = await fetch(path, { ...options, headers, cache: "no-store" });
    text = await r.text();
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new Refusal(0, "The server does not answer. Is it still running?");
  }
  let body = null;
  try { body = JSON.parse(text); } catch { /* no JSON: said below */ }
  if (r.ok && body !== null) return body;
  throw new Refusal(r.status, body?.error ?? (text.trim() || "The server's answer is empty."), r.headers.get("X-Request-Id"), Number(r.headers.get("Retry-After")) || 0);
}

// models are those that are served: name, version and card of each.
export const models = async () => (await ask("v1/models")).models;

// card is all that is known about a model.
export const card = m => ask("v1/models/" + encodeURIComponent(m.name) + "?version=" + encodeURIComponent(m.version));

function post(path, model, file, parameters, signal) {
  const query = new URLSearchParams({ model: model.name, version: model.version, ...parameters });
  return ask(path + "?" + query, {
    method: "POST",
    body: file,
    headers: { "Content-Type": file.type || "application/octet-stream" },
    signal,
  });
}

// classify gives the most probable classes of a picture and how long it took.
export async function classify(model, file, top, signal) {
  const start = performance.now();
  const a = await post("v1/classify", model, file, { top }, signal);
  return { predictions: a.results[0].predictions, timing: a.timing, total: performance.now() - start };
}

// explain gives the class activation map of a class: its values, the part of the
// picture that it spans, and the class's prediction.
export function explain(model, file, cls, signal) {
  return post("v1/explain", model, file, { class: cls, format: "map" }, signal);
}
