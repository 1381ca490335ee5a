// What both pages have: settings, trouble, work that waits its turn.
import { byID, make } from "./dom.js";
import { Refusal, setToken } from "./api.js";

// opacity makes the slider set the opacity of all maps.
export function opacity() {
  const slider = byID("opacity"), output = slider.nextElementSibling;
  const apply = () => {
    document.documentElement.style.setProperty("--map", slider.value / 100);
    output.textContent = slider.value + " %";
    slider.setAttribute("aria-valuetext", slider.value + " percent");
  };
  slider.addEventListener("input", apply);
  apply();
  byID("tools").addEventListener("submit", e => e.preventDefault());
}

// problem is an error on the page; again, if given, tries once more.
export function problem(error, again) {
  const about = error instanceof Refusal && error.status > 0 ? "The server answers " + error.status : "That did not work";
  const e = make("div", { className: "problem", role: "alert" }, make("b", {}, about), make("span", {}, error.message));
  if (error.request) e.append(make("span", { className: "muted" }, " (request " + error.request + ")"));
  if (again) e.append(make("div", {}, make("button", { type: "button", className: "button", onclick: again }, "Try again")));
  return e;
}

// start runs what a page begins with, and asks for the token if the server wants
// one.
export async function start(begin) {
  const place = byID("trouble");
  try {
    place.replaceChildren();
    await begin();
  } catch (e) {
    if (e.status !== 401) {
      place.replaceChildren(make("div", { className: "card token" }, problem(e, () => start(begin))));
      return;
    }
    const input = make("input", { type: "password", className: "text", required: true, autocomplete: "off", id: "token" });
    const form = make("form", { className: "card token" },
      make("label", {}, "This server wants its token", input), make("button", { className: "button main" }, "Go on"),
      sessionStorage.getItem("token") && problem(e));
    form.addEventListener("submit", event => {
      event.preventDefault();
      setToken(input.value);
      start(begin);
    });
    place.replaceChildren(form);
    input.focus();
  }
}

// Turns lets so many pieces of work go on at a time; the others wait, the first
// that came first. What has been given up when its turn comes is not begun.
export class Turns {
  #free;
  #waiting = [];

  constructor(n) { this.#free = n; }

  async run(signal, work) {
    if (this.#free === 0) await new Promise(go => this.#waiting.push(go));
    else this.#free--;
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}

// modelName is a model's name, with the version where that tells it apart.
export const modelName = (m, all) => all.filter(o => o.name === m.name).length > 1 ? m.name + " (version " + m.version + ")" : m.name;
