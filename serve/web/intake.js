// Pictures that are dropped, pasted or chosen.
import { byID } from "./dom.js";

// intake gives every list of files to take.
export function intake(take) {
  const input = byID("files");
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = ""; // the same file may be chosen again
  });
  let depth = 0; // of elements that the pointer is in
  const drag = on => document.body.classList.toggle("dragging", on);
  const holdsFiles = e => [...e.dataTransfer?.types ?? []].includes("Files");
  addEventListener("dragenter", e => { if (holdsFiles(e)) drag(++depth > 0); });
  addEventListener("dragleave", e => { if (holdsFiles(e)) drag(--depth > 0); });
  addEventListener("dragover", e => {
    if (!holdsFiles(e)) return;
    e.preventDefault();
    e.dataTransfer.dropEffect = "copy";
  });
  addEventListener("drop", e => {
    if (!holdsFiles(e)) return;
    e.preventDefault();
    drag((depth = 0) > 0);
    take([...e.dataTransfer.files]);
  });
  addEventListener("paste", e => {
    const files = [...e.clipboardData?.files ?? []];
    if (files.length === 0) return;
    e.preventDefault();
    take(files);
  });
}
