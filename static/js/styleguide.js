/** The style guide's own buttons, and the states that a list gives its rows while one works. */

import { toast } from "./lib/toast.js";

for (const button of document.querySelectorAll("[data-sample-toast]")) {
  button.addEventListener("click", () => toast(button.textContent, { undo: () => toast(button.textContent) }));
}

for (const list of document.querySelectorAll("[data-row-states]")) {
  const rows = [...list.querySelectorAll(".row")];
  list.dataset.rowStates.split(" ").forEach((state, n) => show(rows[n], state, list.dataset));
}

for (const part of document.querySelectorAll("[data-unhide] > [hidden]")) {
  part.hidden = false;
  const [count, bar] = [part.querySelector("[data-count], [data-words]"), part.querySelector("progress")];
  if (count) count.textContent = "12 / 40";
  if (bar) bar.value = 0.3;
}

function show(row, state, words) {
  if (state === "current") row.querySelector(".row__link").setAttribute("aria-current", "true");
  row.classList.add(state === "current" ? "is-open" : `is-${state}`);
  row.classList.toggle("has-draft", state === "draft");
  const slot = row.querySelector(`[data-slot="${state}"]`);
  if (slot) slot.textContent = words[state];
}
