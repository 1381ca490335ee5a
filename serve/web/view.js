// A picture with a map over it, and the list of its classes.
import { make, percent } from "./dom.js";
import { draw, drawScale, where, valueAt } from "./heat.js";

// View shows a picture and, over it, where a network sees a class.
export class View {
  #canvas = make("canvas", { role: "img", hidden: true });
  #text = make("span");
  #legend = make("span", { className: "scale", hidden: true }, "less", make("canvas", { "aria-hidden": "true" }), "more");
  #map = null;
  #label = "";

  constructor(url, name) {
    this.image = make("img", { alt: name, src: url });
    this.sheet = make("div", { className: "sheet" }, this.image, this.#canvas);
    this.element = make("figure", { className: "view" }, this.sheet, make("figcaption", {}, this.#legend, this.#text));
    this.loaded = this.image.decode().then(() => {
      const { naturalWidth: w, naturalHeight: h } = this.image;
      this.sheet.style.setProperty("--ratio", w / h);
      this.sheet.classList.toggle("tiny", Math.max(w, h) <= 64);
      return true;
    }, () => {
      this.sheet.replaceWith(make("p", { className: "broken" }, "This browser cannot show the picture."));
      return false;
    });
    this.sheet.addEventListener("pointermove", e => this.#point(e));
    this.sheet.addEventListener("pointerleave", () => this.#caption());
    drawScale(this.#legend.querySelector("canvas"));
  }

  // show lays a map over the picture.
  async show(map, label) {
    if (!await this.loaded) return;
    const { naturalWidth: w, naturalHeight: h } = this.image;
    this.#map = map;
    this.#label = label;
    await draw(this.#canvas, map, w, h);
    if (this.#map !== map) return;
    this.#canvas.setAttribute("aria-label", "Map of what speaks for " + label + ": most " + where(map, w, h));
    this.#canvas.hidden = this.#legend.hidden = false;
    this.element.classList.add("mapped");
    this.#caption();
  }

  // clear takes the map away.
  clear() {
    this.#map = null;
    this.#canvas.hidden = this.#legend.hidden = true;
    this.element.classList.remove("mapped");
    this.#text.textContent = "";
  }

  #caption() {
    this.#text.textContent = this.#map ? "speaks for " + this.#label : "";
  }

  #point(e) {
    if (!this.#map) return;
    const box = this.image.getBoundingClientRect();
    const v = valueAt(this.#map, (e.clientX - box.left) / box.width * this.image.naturalWidth, (e.clientY - box.top) / box.height * this.image.naturalHeight);
    this.#text.textContent = v === null ? "outside of what the network is shown" : "here " + (v < 0 ? "−" : "+") + Math.abs(v).toFixed(2) + " to the logit of " + this.#label;
  }
}

// labelOf is the name of a prediction's class.
export const labelOf = p => p.label || "class " + p.class;

let groups = 0;

// Guesses is the list of the most probable classes; the one that is chosen is
// given to choose.
export class Guesses {
  #name = "guess" + groups++;
  #choose;

  constructor(predictions, legend, choose) {
    this.#choose = choose;
    this.element = make("fieldset", { className: "guesses" }, make("legend", {}, legend));
    predictions.forEach((p, i) => this.add(p, i === 0));
  }

  // add adds a class to the list, or chooses it if it is there.
  add(p, chosen) {
    const there = this.element.querySelector(`input[value="${p.class}"]`);
    if (there) {
      there.checked = true;
      return;
    }
    const bar = make("i", { "aria-hidden": "true" });
    this.element.append(make("label", { className: "guess" },
      make("input", { type: "radio", name: this.#name, value: String(p.class), checked: chosen, onchange: () => this.#choose(p) }),
      make("b", {}, labelOf(p)), make("span", {}, percent(p.probability)), bar));
    requestAnimationFrame(() => requestAnimationFrame(() => bar.style.setProperty("--p", p.probability)));
  }
}
