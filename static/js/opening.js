/** The page on which a new ticket is begun: its draft is kept, files go up, and one press sends it once. */

import { EnterSends } from "./lib/composition.js";
import { DraftKeeper } from "./lib/draft-keeper.js";
import { upload } from "./lib/uploading.js";

const form = document.getElementById("opening");
if (form) start();

function start() {
  const { elements: fields } = form;
  const tray = document.getElementById("opening-files");
  const saved = document.getElementById("opening-saved");
  const uploads = new Set();
  let isSending = false;

  const fileIds = () => [...tray.querySelectorAll("input[name=files]")].map((input) => Number(input.value));

  const keeper = new DraftKeeper({
    url: form.dataset.draftUrl,
    revision: Number(form.dataset.revision),
    name: `opening:${document.body.dataset.me}:${fields.client_uuid.value}`,
    read() {
      const written = Object.fromEntries(["client_uuid", "customer", "address", "name", "way", "subject", "team", "assignee", "text"].map((name) => [name, fields[name]?.value ?? ""]));
      return { ...written, files: fileIds() };
    },
    isEmpty: ({ text, subject, files }) => !text.trim() && !subject.trim() && !files.length,
    said(state) { saved.textContent = saved.dataset[state] ?? ""; },
  });

  const rescued = keeper.rescued(fields.text.value);
  if (rescued) {
    fields.text.value = rescued;
    keeper.changed();
  }

  function take(files) {
    const how = { url: form.dataset.uploadUrl, tray, changed: () => keeper.changed(), again: (file) => take([file]) };
    for (const file of files) {
      const one = upload(file, how).catch(() => {}).finally(() => uploads.delete(one));
      uploads.add(one);
    }
  }

  form.addEventListener("input", (event) => { if (!event.target.matches("[data-files]")) keeper.changed(); });
  form.addEventListener("change", (event) => {
    if (!event.target.matches("[data-files]")) return;
    take([...event.target.files]);
    event.target.value = "";
  });
  form.addEventListener("htmx:afterRequest", () => keeper.changed()); // a file was taken back
  form.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isSending) return;
    isSending = true;
    await Promise.all(uploads);
    await keeper.flush(); // what is refused is on the server all the same
    form.submit();
  });
  new EnterSends(fields.text, { send: () => form.requestSubmit(), plain: () => false });
  addEventListener("pagehide", () => { if (!isSending) keeper.flush({ leaving: true }); });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); }); // by Back: the draft may be gone
  document.getElementById("opening-discard").addEventListener("submit", () => { isSending = true; keeper.sent(); });
}
