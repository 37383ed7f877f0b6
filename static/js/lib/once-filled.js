/** A ticket lacks what is wanted on it before it is solved: its property is open, and what was wished goes on once it is filled in. */

/** `go` runs when the property has been saved, though another ticket is open by then; not when it is left as it was. */
export function onceFilled(property, go) {
  const over = new AbortController();
  const { signal } = over;
  const left = () => {
    if (!property.matches(".htmx-request")) over.abort(); // nothing was chosen
  };
  property.querySelector("[popover]")?.addEventListener("toggle", ({ newState }) => { if (newState === "closed") left(); }, { signal });
  property.querySelector(".property__input")?.addEventListener("blur", left, { signal });
  property.addEventListener("htmx:afterRequest", ({ detail }) => {
    over.abort();
    if (detail.successful) go();
  }, { signal });
}
