// The page that shows several models beside each other on the same pictures.
import { byID, make, say, percent, millis, short } from "./dom.js";
import { models, classify, explain } from "./api.js";
import { View, Guesses, labelOf } from "./view.js";
import { Shelf, Shelved } from "./shelf.js";
import { start, opacity, problem, Turns, modelName } from "./frame.js";

const top5 = 5;
const more = 3; // runs to time a model,
const patience = 2000; // as long as they take less than so many milliseconds
const turns = new Turns(1); // models do not take each other's time
let all = [], chosen = [];

// Row is a picture and what every chosen model says about it.
class Row extends Shelved {
  #columns = make("div", { className: "columns" });
  #by = new Map(); // columns by model

  constructor(file, shelf) {
    super(file, shelf, "row");
    this.element.append(this.#columns);
  }

  // ask has a column for each chosen model, and asks those that are new.
  ask() {
    for (const [m, column] of this.#by) {
      if (chosen.includes(m)) continue;
      column.stop.abort();
      this.#by.delete(m);
    }
    for (const m of chosen) if (!this.#by.has(m)) this.#by.set(m, new Column(this, m));
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
    super.end();
  }
}

// Column is one model's view of a picture.
class Column {
  stop = new AbortController();
  figures;
  bars = {};
  #row;
  #model;
  #view;
  #results = make("div");
  #maps = new Map();
  #wanted = null;
  #compute = make("span");

  constructor(row, m) {
    this.#row = row;
    this.#model = m;
    this.#view = new View(row.url, row.name);
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
      const answer = await turns.run(signal, () => classify(this.#model, this.#row.file, top5, signal));
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
      const { timing } = await turns.run(signal, () => classify(this.#model, this.#row.file, 1, signal));
      spent += timing.infer_ms;
      this.figures.infer = Math.min(this.figures.infer, timing.infer_ms);
    }
    this.#compute.textContent = millis(this.figures.infer);
    this.#row.scale();
  }

  async #map(p) {
    this.#wanted = p.class;
    const { signal } = this.stop;
    if (!this.#maps.has(p.class)) this.#maps.set(p.class, await turns.run(signal, () => explain(this.#model, this.#row.file, p.class, signal)));
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

const rows = new Shelf((file, shelf) => new Row(file, shelf), () => all.length > 0);

opacity();
await start(async () => {
  all = await models();
  const box = (m, i) => make("label", {}, make("input", { type: "checkbox", value: String(i), checked: i < 4 }), modelName(m, all));
  const boxes = byID("models");
  boxes.replaceChildren(...all.map(box));
  const read = () => { chosen = [...boxes.querySelectorAll("input:checked")].map(b => all[b.value]); };
  boxes.onchange = () => {
    read();
    rows.ask();
  };
  read();
});
