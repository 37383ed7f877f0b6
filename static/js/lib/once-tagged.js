/** A ticket lacks the tag that its team wants before it is solved: the open picker says so, and what was wished goes on then. */

/** `go` runs when the picker has set a tag, though another ticket is open by then; not when it is closed without one. */
export function onceTagged(go) {
  const picker = document.getElementById("property-tags-menu");
  const form = picker.closest("form");
  const over = new AbortController();
  const { signal } = over;
  picker.addEventListener("toggle", ({ newState }) => {
    if (newState === "closed" && !form.matches(".htmx-request")) over.abort(); // nothing was chosen
  }, { signal });
  form.addEventListener("htmx:afterRequest", ({ detail }) => {
    over.abort();
    if (detail.successful) go();
  }, { signal });
}
