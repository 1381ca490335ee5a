// The theme that was chosen by hand, before anything is drawn; else the
// system's.
"use strict";
{
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const store = theme => { try { localStorage.setItem("theme", theme); } catch { /* lasts for this page */ } };
  if (stored() === "light" || stored() === "dark") root.dataset.theme = stored();
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    button.addEventListener("click", () => store(root.dataset.theme = dark() ? "light" : "dark"));
  });
}
