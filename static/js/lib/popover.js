/** Where popovers stand, and how one moves inside a menu. Menus are native popovers: Esc and a click outside close them. */

const GAP = 4;

/** Put a popover beside its button: data-place is "bottom-start" (default), "bottom-end", "top-end", "top-start", "right-end". */
export function place(popover, anchor) {
  const [side, align] = (popover.dataset.place || "bottom-start").split("-");
  const from = anchor.getBoundingClientRect();
  const width = popover.offsetWidth;
  const height = popover.offsetHeight;
  let left = align === "end" ? from.right - width : from.left;
  let top = side === "top" ? from.top - height - GAP : from.bottom + GAP;
  if (side === "right") [left, top] = innerWidth < 900 ? [from.right - width, from.top - height - GAP] : [from.right + GAP, from.bottom - height];
  if (side === "bottom" && top + height > innerHeight - 8 && from.top - height - GAP > 8) top = from.top - height - GAP;
  if (side === "top" && top < 8) top = from.bottom + GAP;
  popover.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  popover.style.top = `${Math.max(8, Math.min(top, innerHeight - height - 8))}px`;
}

function anchorOf(popover) {
  return document.querySelector(`[popovertarget="${CSS.escape(popover.id)}"]`);
}

function items(menu) {
  return [...menu.querySelectorAll("[role^='menuitem']:not([hidden])")];
}

export function startPopovers() {
  document.addEventListener("toggle", (event) => {
    const popover = event.target;
    if (!popover.matches?.(".menu[popover]")) return;
    const anchor = anchorOf(popover);
    anchor?.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState !== "open" || !anchor) return;
    place(popover, anchor);
    if (popover.matches("[role='menu']")) items(popover)[0]?.focus();
  }, true);
  document.addEventListener("keydown", (event) => {
    const menu = event.target.closest?.("[role='menu'][popover]");
    if (!menu) return;
    const all = items(menu);
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    all.at(to % all.length)?.focus();
  });
  document.addEventListener("click", (event) => {
    const item = event.target.closest("[role='menuitem'], [role='menuitemradio']");
    item?.closest("[popover]")?.hidePopover();
  });
}

/** Buttons with data-dialog="<id>" open that dialog; data-close, and a click on the backdrop, closes it. */
export function startDialogs() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
    if (event.target.closest("[data-close]")) event.target.closest("dialog")?.close();
    if (event.target.matches("dialog[open]")) event.target.close();
  });
}
