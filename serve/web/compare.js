// The page that shows several models beside each other on the same pictures.
import { byID, make, say, percent, millis, short } from "./dom.js";
import { models, classify, explain } from "./api.js";
import { intake } from "./intake.js";
import { View, Guesses, labelOf } from "./view.js";
import { start, opacity, filled, problem, Turns, nameOf, modelName } from "./frame.js";

const top5 = 5;
const more = 3; // runs to time a model,
const patience = 2000; // as long as they take less than so many milliseconds
const turns = new Turns(1); // models do not take each other's time
const rows = new Set();
let all = [], chosen = [];

// Row is a picture and what every chosen model says about it.
class Row {
  #file;
  #url;
  #columns = make("div", { className: "columns" });
  #by = new Map(); // columns by model

  constructor(file) {
    this.#file = file;
    this.name = nameOf(file);
    this.#url = URL.createObjectURL(file);
    this.element = make("article", { className: "card row", "aria-label": this.name },
      make("header", {}, make("h2", {}, this.name), make("button", { type: "button", className: "quiet", "aria-label": "Remove " + this.name, onclick: () => remove(this) }, "Remove")),
      this.#columns);
  }

  // update has a column for each chosen model, and asks those that are new.
  update() {
    for (const [m, column] of this.#by) {
      if (chosen.includes(m)) continue;
      column.stop.abort();
      this.#by.delete(m);
    }
    for (const m of chosen) if (!this.#by.has(m)) this.#by.set(m, new Column(this, m, this.#file, this.#url));
    this.#columns.replaceChildren(...chosen.map(m => this.#by.get(m).element));
    if (chosen.length === 0) this.#columns.append(make("p", { className: "muted" }, "No model is chosen."));
    this.scale();
  }

  // scale draws times and costs on scales of the row.
  scale() {
    const columns = [...this.#by.values()];
    for (const key of ["infer", "macs", "params"]) {
      const most = Math.max(...columns.map(c => c.figures[key] ?? 0));
      for (const c of columns) c.bars[key]?.style.setProperty("--p", most > 0 ? (c.figures[key] ?? 0) / most : 0);
    }
  }

  end() {
    for (const c of this.#by.values()) c.stop.abort();
    this.element.remove();
    URL.revokeObjectURL(this.#url);
  }
}

// Column is one model's view of a picture.
class Column {
  stop = new AbortController();
  figures;
  bars = {};
  #row;
  #model;
  #file;
  #view;
  #results = make("div");
  #maps = new Map();
  #wanted = null;
  #compute = make("span");

  constructor(row, m, file, url) {
    this.#row = row;
    this.#model = m;
    this.#file = file;
    this.#view = new View(url, row.name);
    this.figures = { macs: m.macs, params: m.parameters };
    this.element = make("section", { className: "column", "aria-label": modelName(m, all) }, make("h3", {}, modelName(m, all)), this.#view.element, this.#results);
    this.#ask();
  }

  async #attempt(work) {
    try {
      await work();
    } catch (e) {
      if (!this.stop.signal.aborted) this.#results.replaceChildren(problem(e, () => this.#ask()));
    }
  }

  #ask() {
    this.#results.replaceChildren(make("p", { className: "busy" }, "Classifying"));
    return this.#attempt(async () => {
      const { signal } = this.stop;
      const answer = await turns.run(() => { signal.throwIfAborted(); return classify(this.#model, this.#file, top5, signal); });
      this.figures.infer = answer.timing.infer_ms;
      const guesses = new Guesses(answer.predictions, "Most probable classes", p => this.#attempt(() => this.#map(p)));
      this.#results.replaceChildren(guesses.element, this.#costs());
      this.#row.scale();
      const [best] = answer.predictions;
      say(this.#row.name + ", " + modelName(this.#model, all) + ": " + labelOf(best) + " " + percent(best.probability) + " in " + millis(answer.timing.infer_ms));
      await this.#map(best);
      await this.#time(answer.timing.infer_ms);
    });
  }

  // time runs the picture again, when all models have answered: one run may have
  // been disturbed. The fastest counts.
  async #time(first) {
    const { signal } = this.stop;
    let spent = first;
    for (let i = 0; i < more && spent < patience; i++) {
      const { timing } = await turns.run(() => { signal.throwIfAborted(); return classify(this.#model, this.#file, 1, signal); });
      spent += timing.infer_ms;
      this.figures.infer = Math.min(this.figures.infer, timing.infer_ms);
    }
    this.#compute.textContent = millis(this.figures.infer);
    this.#row.scale();
  }

  async #map(p) {
    this.#wanted = p.class;
    const { signal } = this.stop;
    if (!this.#maps.has(p.class)) this.#maps.set(p.class, await turns.run(() => { signal.throwIfAborted(); return explain(this.#model, this.#file, p.class, signal); }));
    if (this.#wanted === p.class && !signal.aborted) await this.#view.show(this.#maps.get(p.class).map, labelOf(p));
  }

  #costs() {
    const m = this.#model, list = make("dl", { className: "costs" });
    const add = (key, name, text, props) => {
      this.bars[key] = make("i", { "aria-hidden": "true" });
      list.append(make("dt", { title: props?.title }, name), make("dd", { className: props?.className }, this.bars[key], text));
    };
    this.#compute.textContent = millis(this.figures.infer);
    add("infer", "compute", this.#compute, { className: "compute", title: "the fastest of a few runs" });
    add("macs", "MACs", make("span", {}, short(m.macs)));
    add("params", "parameters", make("span", {}, short(m.parameters)));
    list.append(make("dt", {}, "input"), make("dd", {}, make("b"), make("span", {}, m.resolution + " px")));
    return list;
  }
}

function remove(row) {
  rows.delete(row);
  row.end();
  filled(rows.size > 0);
  (rows.size > 0 ? byID("pictures") : byID("files")).focus();
}

function take(files) {
  if (all.length === 0 || files.length === 0) return;
  const added = files.map(f => new Row(f));
  byID("pictures").prepend(...added.map(r => r.element));
  for (const r of added) {
    rows.add(r);
    r.update();
  }
  filled(true);
}

opacity();
intake(take);
byID("clear").addEventListener("click", () => [...rows].forEach(remove));
await start(async () => {
  all = await models();
  const box = (m, i) => make("label", {}, make("input", { type: "checkbox", value: String(i), checked: i < 4 }), modelName(m, all));
  const boxes = byID("models");
  boxes.replaceChildren(...all.map(box));
  const read = () => { chosen = [...boxes.querySelectorAll("input:checked")].map(b => all[b.value]); };
  boxes.onchange = () => {
    read();
    for (const r of rows) r.update();
  };
  read();
});
