/** A list of options that takes new ones (tags): what is typed and does not exist yet is offered, and Enter makes it. */

import { fromTemplate } from "./nodes.js";
import { phrase } from "./phrases.js";

export function startNewOptions() {
  document.addEventListener("input", (event) => offer(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || event.defaultPrevented || !create(event.target)) return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
}

/** What is typed and does not exist yet, in a list that takes new options; "" otherwise. */
function newOption(filter) {
  const menu = filter.closest?.("select-menu[data-create]");
  const typed = menu && filter.matches("[role=combobox]") ? filter.value.trim().toLocaleLowerCase().replaceAll(",", " ") : "";
  if (!typed || menu.options.some((option) => option.dataset.value === typed)) return "";
  return menu.shown.length ? "" : typed;
}

function offer(filter) {
  const typed = newOption(filter);
  const place = filter.closest?.("select-menu[data-create]")?.querySelector(".menu__none");
  if (place && typed) place.textContent = phrase("addTag", { name: typed });
}

function create(filter) {
  const typed = newOption(filter);
  if (!typed) return false;
  const option = fromTemplate("option-template");
  option.dataset.value = typed;
  option.ariaSelected = "false";
  option.querySelector(".tag span").textContent = typed;
  const list = filter.closest("select-menu").querySelector("[role=listbox]");
  option.id = `${list.id}-new-${list.children.length}`;
  list.prepend(option);
  option.click();
  filter.value = "";
  filter.dispatchEvent(new Event("input", { bubbles: true }));
  return true;
}
