"use strict";
// Everything listens on the document, so that parts of the page may be
// replaced while it is open.
(() => {
  const tip = document.getElementById("tip");
  const root = document.documentElement;

  // Hover texts come from the shapes' <title>, which browsers without this
  // script show by themselves.
  const text = e => {
    const t = e.querySelector(":scope > title");
    if (t) { e.dataset.tip = t.textContent; t.remove(); }
    return e.dataset.tip;
  };
  const tipped = e => e && e.ownerSVGElement && (text(e) !== undefined || e.dataset.net !== undefined) ? e : null;
  // near finds a shape under the pointer or within a few pixels of it: lines
  // are thin and fingers are not.
  const near = (x, y) => {
    let mute = null; // what stands for a network but says nothing
    for (const r of [0, 3, 6, 10]) for (let k = 0; k < (r ? 8 : 1); k++) {
      const e = tipped(document.elementFromPoint(x + r * Math.cos(k * Math.PI / 4), y + r * Math.sin(k * Math.PI / 4)));
      if (e && e.dataset.tip) return e;
      mute ??= e;
    }
    return mute;
  };
  let lit = null, pinned = null;
  const light = net => {
    if (net === lit) return;
    lit = net;
    document.querySelectorAll(".hot").forEach(e => e !== document.body && e.classList.remove("hot"));
    const all = net ? document.querySelectorAll(`[data-net="${CSS.escape(net)}"]`) : [];
    document.body.classList.toggle("hot", all.length > 0);
    all.forEach(e => e.classList.add("hot"));
  };
  const hide = () => { tip.style.visibility = "hidden"; light(pinned); };
  document.addEventListener("pointermove", ev => {
    const row = ev.target.closest && ev.target.closest("tr[data-net]");
    if (row) { tip.style.visibility = "hidden"; light(row.dataset.net); return; }
    const e = ev.target.closest && ev.target.closest("svg") ? near(ev.clientX, ev.clientY) : null;
    if (!e) return hide();
    light(e.dataset.net ?? pinned);
    if (!e.dataset.tip) { tip.style.visibility = "hidden"; return; }
    tip.textContent = e.dataset.tip;
    const w = tip.offsetWidth, h = tip.offsetHeight;
    tip.style.left = Math.max(6, Math.min(ev.clientX + 14, innerWidth - w - 6)) + "px";
    tip.style.top = (ev.clientY + 18 + h > innerHeight ? Math.max(6, ev.clientY - h - 12) : ev.clientY + 18) + "px";
    tip.style.visibility = "visible";
  });
  document.addEventListener("pointerleave", hide);
  document.addEventListener("scroll", () => { tip.style.visibility = "hidden"; }, { passive: true, capture: true });

  // A click holds a network lit.
  document.addEventListener("click", ev => {
    const sort = ev.target.closest("th span");
    if (sort) return order(sort.parentNode);
    if (ev.target.closest("#theme")) {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      return;
    }
    const copy = ev.target.closest(".copy");
    if (copy) {
      const done = () => { copy.textContent = "copied"; setTimeout(() => { copy.textContent = "copy"; }, 1500); };
      const code = copy.parentNode.querySelector("code");
      const select = () => getSelection().selectAllChildren(code);
      if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(done, select); else select();
      return;
    }
    if (ev.target.closest("a, input, button")) return;
    const row = ev.target.closest("tr[data-net]");
    const e = row || (ev.target.closest("svg") && near(ev.clientX, ev.clientY));
    const net = e ? e.dataset.net ?? null : null;
    pinned = net === pinned ? null : net;
    light(pinned);
  });

  document.addEventListener("keydown", ev => {
    const sort = (ev.key === "Enter" || ev.key === " ") && ev.target.closest("th span");
    if (!sort) return;
    ev.preventDefault(); // a space scrolls
    order(sort.parentNode);
  });

  // Tables sort by a column; the order outlives a replaced table.
  const sorted = {};
  const order = (th, dir) => {
    const table = th.closest("table"), i = th.cellIndex, number = th.classList.contains("n");
    const was = th.getAttribute("aria-sort");
    dir ??= number ? (was === "descending" ? "ascending" : "descending") : (was === "ascending" ? "descending" : "ascending");
    for (const o of th.parentNode.children) o.removeAttribute("aria-sort");
    th.setAttribute("aria-sort", dir);
    const key = r => r.cells[i].dataset.sort ?? r.cells[i].textContent;
    const by = (a, b) => number ? key(a) - key(b) : key(a).localeCompare(key(b), "en", { numeric: true });
    const up = dir === "ascending";
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => up ? by(a, b) : by(b, a)));
    if (table.id === "networks") Object.assign(sorted, { i, dir });
  };
  let wanted = "";
  const filter = () => document.querySelectorAll("#networks tbody tr").forEach(r => { r.hidden = !r.textContent.toLowerCase().includes(wanted); });
  document.addEventListener("input", ev => {
    if (!ev.target.closest("#table input")) return;
    wanted = ev.target.value.trim().toLowerCase();
    filter();
  });

  // The navigation shows where one is.
  let seen;
  const watch = () => {
    seen?.disconnect();
    seen = new IntersectionObserver(es => {
      for (const e of es) if (e.isIntersecting) document.querySelectorAll("nav a").forEach(a => a.classList.toggle("here", a.hash === "#" + e.target.id));
    }, { rootMargin: "-15% 0px -70% 0px" });
    document.querySelectorAll("#verdict, figure, #table, #method").forEach(e => seen.observe(e));
  };
  watch();

  // After parts of the page were replaced: dispatch "report:replaced".
  document.addEventListener("report:replaced", () => {
    const th = sorted.dir && document.querySelectorAll("#networks th")[sorted.i];
    if (th) order(th, sorted.dir);
    const input = document.querySelector("#table input");
    if (input && !input.value) input.value = wanted;
    filter();
    const net = lit;
    lit = undefined;
    light(net);
    watch();
  });
})();
