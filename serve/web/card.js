// A model's card.
import { make, short, bytes, whole, percent } from "./dom.js";

const tile = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));
const cell = (text, number) => make("td", number ? { className: "n" } : {}, text);
const heads = names => make("tr", {}, ...names.map(n => make("th", { scope: "col", className: n.startsWith(">") ? "n" : undefined }, n.replace(/^>/, ""))));

// showCard fills a section with a model's card.
export function showCard(section, c, name) {
  const facts = make("dl", { className: "facts" });
  const fact = (term, text) => text && facts.append(make("dt", {}, term), make("dd", {}, text));
  fact("Network", c.network);
  fact("Preprocessing", preprocessing(c));
  fact("Accuracy", accuracy(c.meta ?? {}));
  fact("Classes", c.labels ? whole(c.classes) + ": " + c.labels.slice(0, 6).join(", ") + (c.classes > 6 ? ", …" : "") : whole(c.classes) + ", without names");
  const scroll = make("div", { className: "scroll", role: "region", tabindex: "0", "aria-label": "Stages of " + name },
    make("table", {}, make("caption", {}, "Stages"),
      make("thead", {}, heads(["Stage", "Operator", ">Input", ">Channels", ">Layers", ">Stride", ">Parameters", "Share of the MACs"])),
      make("tbody", {}, ...c.stages.map(s => make("tr", {},
        cell(s.stage), cell(s.operator), cell(s.input.join(" × "), true), cell(whole(s.channels), true), cell(whole(s.layers), true), cell(whole(s.stride), true), cell(whole(s.parameters), true),
        make("td", { className: "share" }, make("span", {}, make("i", { "--p": s.macs / c.macs, "aria-hidden": "true" }), percent(s.macs / c.macs))))))));
  section.replaceChildren(
    make("h2", { id: "card-name" }, name),
    make("dl", { className: "tiles" },
      tile("parameters", short(c.parameters)), tile("MACs a picture", short(c.macs)), tile("pixels a side", whole(c.resolution)),
      tile("of weights", bytes(c.weight_bytes)), tile("peak of activations", bytes(c.peak_activation_bytes)), tile("classes", whole(c.classes))),
    facts, scroll);
  section.hidden = false;
}

// preprocessing says what is done to a picture before the network sees it.
function preprocessing(c) {
  const size = Math.floor(c.resolution / c.crop), list = v => v.map(x => Number(x.toPrecision(4))).join(", ");
  const steps = [];
  if (c.filter === "tf_bicubic") steps.push(`crop the centre, ${c.crop} of the short side`, `resize to ${c.resolution} × ${c.resolution}, ${c.filter}`);
  else {
    steps.push(c.squash ? `resize to ${size} × ${size}, ${c.filter}` : `resize the short side to ${size}, ${c.filter}`);
    if (!c.squash || size > c.resolution) steps.push(`crop the centre, ${c.resolution} × ${c.resolution}`);
  }
  if (c.channels === 1) steps.unshift("make it grey");
  if (c.mean?.length) steps.push(`of pixels from 0 to 1 subtract ${list(c.mean)}, divide by ${list(c.std)}`);
  return steps.join("; ");
}

// accuracy is what the model's file or its run says about it.
function accuracy(meta) {
  const parts = [], epoch = meta["effnet.epoch"];
  for (const [key, images] of [["effnet.test_accuracy", "test"], ["effnet.validation_accuracy", "validation"]]) {
    if (meta[key] > 0) parts.push(percent(Number(meta[key])) + " of the " + images + " images");
  }
  if (parts.length === 0) return "not known";
  return parts.join(", ") + (meta["effnet.data"] ? " of " + meta["effnet.data"] : "") + (epoch ? ", after epoch " + epoch : "");
}
