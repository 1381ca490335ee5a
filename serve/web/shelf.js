// The pictures that a page holds.
import { byID, make } from "./dom.js";
import { intake } from "./intake.js";

// Shelf holds the pictures of a page: takes them in as create makes them, clears
// them, and removes one whose button says so.
export class Shelf {
  #all = new Set();

  constructor(create, ready) {
    intake(files => {
      if (!ready() || files.length === 0) return;
      const added = files.map(f => create(f, this));
      byID("pictures").prepend(...added.map(p => p.element));
      for (const p of added) {
        this.#all.add(p);
        p.ask();
      }
      filled(true);
    });
    byID("clear").addEventListener("click", () => [...this.#all].forEach(p => this.remove(p)));
  }

  // ask makes every picture ask the models.
  ask() {
    for (const p of this.#all) p.ask();
  }

  remove(p) {
    this.#all.delete(p);
    p.end();
    filled(this.#all.size > 0);
    (this.#all.size > 0 ? byID("pictures") : byID("files")).focus();
  }
}

// Shelved is a picture on a shelf: a card with its name, and the button that
// removes it.
export class Shelved {
  constructor(file, shelf, kind) {
    this.file = file;
    this.name = nameOf(file);
    this.url = URL.createObjectURL(file);
    this.element = make("article", { className: "card " + kind, "aria-label": this.name },
      make("header", {}, make("h2", {}, this.name), make("button", { type: "button", className: "quiet", "aria-label": "Remove " + this.name, onclick: () => shelf.remove(this) }, "Remove")));
  }

  end() {
    this.element.remove();
    URL.revokeObjectURL(this.url);
  }
}

// filled shows what belongs to pictures, or hides it where there are none.
function filled(yes) {
  document.body.classList.toggle("full", yes);
  for (const e of document.querySelectorAll("[data-with-pictures]")) e.hidden = !yes;
}

// nameOf is a picture's name; what is pasted has none of its own.
const nameOf = file => file.name && file.name !== "image.png" ? file.name : "Pasted picture";
