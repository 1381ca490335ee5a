// Helpers to make and fill elements.

export const byID = id => document.getElementById(id);

// make is an element with properties, data-* and style variables (--x) among
// them, and children.
export function make(name, props = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("--")) e.style.setProperty(key, value);
    else if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (key in e && typeof value !== "string") e[key] = value;
    else e.setAttribute(key === "className" ? "class" : key, value);
  }
  e.append(...children.filter(c => c !== undefined && c !== null && c !== false));
  return e;
}

// say tells those who listen to the page.
export function say(text) {
  byID("news").textContent = text;
}

export const percent = p => (p > 0 && p < 0.0005 ? "< 0.1" : (100 * p).toFixed(1)) + " %";

export const millis = ms => ms >= 1000 ? (ms / 1000).toFixed(2) + " s" : ms >= 100 ? ms.toFixed(0) + " ms" : ms.toFixed(1) + " ms";

// short is a count in three digits: 4.65 M.
export function short(n) {
  for (const [unit, at] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (n >= at) return (n / at).toPrecision(3) + " " + unit;
  }
  return String(n);
}

export const bytes = n => n >= 1e6 ? (n / 1e6).toPrecision(3) + " MB" : n >= 1e3 ? (n / 1e3).toPrecision(3) + " kB" : n + " B";

export const whole = n => n.toLocaleString("en");
