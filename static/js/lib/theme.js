/** System, light or dark: shown at once, kept in a cookie, and told to the server when the page names an address. */

import { keepChoice } from "./request.js";

const root = document.documentElement;

export function setTheme(theme) {
  root.dataset.theme = theme;
  document.cookie = `theme=${theme}; path=/; max-age=31536000; SameSite=Lax`;
  for (const button of document.querySelectorAll("[data-theme-choice]")) button.setAttribute("aria-checked", String(button.dataset.themeChoice === theme));
}

export function startTheme() {
  setTheme(root.dataset.theme || "system");
  document.addEventListener("click", (event) => {
    const choice = event.target.closest("[data-theme-choice]");
    if (!choice) return;
    setTheme(choice.dataset.themeChoice);
    const url = document.getElementById("app")?.dataset.saveTheme;
    if (url) keepChoice(url, { theme: choice.dataset.themeChoice });
  });
}
