// The page that classifies pictures with one model.
import { byID, make, say, percent, millis } from "./dom.js";
import { models, card, classify, explain } from "./api.js";
import { View, Guesses, labelOf } from "./view.js";
import { showCard } from "./card.js";
import { Shelf, Shelved } from "./shelf.js";
import { start, opacity, problem, Turns, modelName } from "./frame.js";

const top5 = 5;
const turns = new Turns(2);
let all = [], model = null, labels = null;

// Picture is a picture's part of the page.
class Picture extends Shelved {
  #stop = new AbortController();
  #results = make("div");
  #view;
  #maps = new Map(); // by class

  constructor(file, shelf) {
    super(file, shelf, "picture");
    this.#view = new View(this.url, this.name);
    this.element.append(this.#view.element, this.#results);
  }

  // ask asks the model.
  async ask() {
    this.#stop.abort();
    this.#stop = new AbortController();
    const { signal } = this.#stop, m = model;
    this.#maps.clear();
    this.#view.clear();
    this.#results.replaceChildren(make("p", { className: "busy" }, "Classifying"));
    await this.#attempt(signal, async () => {
      const answer = await turns.run(signal, () => classify(m, this.file, top5, signal));
      this.#show(answer, m, signal);
      say(this.name + ": " + answer.predictions.map(p => labelOf(p) + " " + percent(p.probability)).join(", "));
      await this.#map(m, answer.predictions[0], signal);
    });
  }

  async #attempt(signal, work) {
    try {
      await work();
    } catch (e) {
      if (signal.aborted) return;
      this.#results.replaceChildren(problem(e, () => this.ask()));
    }
  }

  #show(answer, m, signal) {
    const choose = p => this.#attempt(signal, () => this.#map(m, p, signal));
    const guesses = new Guesses(answer.predictions, "Most probable classes; the chosen one is on the map", choose);
    this.#results.replaceChildren(guesses.element, this.#other(guesses, m, signal), took(answer));
  }

  // other is the choice of a class that is not among the most probable.
  #other(guesses, m, signal) {
    const input = make("input", { className: "text", list: "labels", autocomplete: "off", placeholder: labels ? "name or number" : "number" });
    const said = make("span", { role: "alert" });
    input.addEventListener("change", () => this.#attempt(signal, async () => {
      const text = input.value.trim();
      said.textContent = "";
      if (text === "") return;
      const named = labels ? labels.indexOf(text) : -1;
      const cls = named >= 0 ? named : /^\d+$/.test(text) ? Number(text) : -1;
      if (cls < 0) {
        said.textContent = "no class of that name";
        return;
      }
      try {
        const e = await this.#fetch(m, cls, signal);
        guesses.add(e.prediction, true);
        input.value = "";
        await this.#map(m, e.prediction, signal);
      } catch (e) {
        if (e.status !== 400) throw e;
        said.textContent = e.message;
      }
    }));
    return make("div", { className: "other" }, make("label", {}, "Another class", input), said);
  }

  async #fetch(m, cls, signal) {
    if (!this.#maps.has(cls)) this.#maps.set(cls, await turns.run(signal, () => explain(m, this.file, cls, signal)));
    return this.#maps.get(cls);
  }

  #wanted = null;

  async #map(m, p, signal) {
    this.#wanted = p.class;
    const e = await this.#fetch(m, p.class, signal);
    if (this.#wanted === p.class && !signal.aborted) await this.#view.show(e.map, labelOf(p));
  }

  end() {
    this.#stop.abort();
    super.end();
  }
}

// took shows where the time went.
function took(answer) {
  const t = answer.timing;
  const parts = [["queue", "queue", t.queue_ms], ["decode", "decode and prepare", t.decode_ms], ["compute", "compute", t.infer_ms]];
  parts.push(["rest", "transfer", Math.max(0, answer.total - parts.reduce((sum, p) => sum + p[2], 0))]);
  return make("div", { className: "took" },
    make("p", {}, make("b", {}, millis(answer.total)), t.batch > 1 && make("span", { className: "muted" }, " in a batch of " + t.batch)),
    make("div", { className: "parts", "aria-hidden": "true" }, ...parts.map(p => make("i", { className: p[0], "--n": p[2] }))),
    make("ul", { className: "keys" }, ...parts.map(p => make("li", { className: p[0] }, p[1] + " " + millis(p[2])))));
}

const pictures = new Shelf((file, shelf) => new Picture(file, shelf), () => model !== null);

async function choose(m) {
  model = m;
  pictures.ask();
  const c = await card(m);
  if (model !== m) return;
  labels = c.labels ?? null;
  byID("labels").replaceChildren(...(labels ?? []).map(l => make("option", { value: l })));
  showCard(byID("card"), c, modelName(m, all));
}

opacity();
await start(async () => {
  all = await models();
  const select = byID("model");
  select.replaceChildren(...all.map((m, i) => make("option", { value: String(i) }, modelName(m, all))));
  select.onchange = () => start(() => choose(all[select.value]));
  await choose(all[0]);
});
