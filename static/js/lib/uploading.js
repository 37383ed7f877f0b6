/** A file goes up: its chip in the tray shows it and how far it is, and can be taken away; one that failed is tried again. */

import { fromTemplate, nodes } from "./nodes.js";
import { csrfToken, word } from "./words.js";

const PREVIEW = 64; // px of the little picture, for screens of twice the density

/** Resolves when the file is there, has failed or was taken away. */
export async function upload(file, { url, tray, changed, again }) {
  const chip = fromTemplate("upload-template");
  const bar = chip.querySelector("progress");
  const cancel = chip.querySelector("[data-cancel]");
  chip.querySelector(".attachment__name").textContent = file.name;
  tray.append(chip);
  const picture = previewOf(file, chip.querySelector(".attachment__icon"));
  const request = new XMLHttpRequest();
  request.upload.addEventListener("progress", ({ lengthComputable, loaded, total }) => {
    if (lengthComputable) bar.value = (100 * loaded) / total;
  });
  cancel.addEventListener("click", () => request.abort());
  const { status, responseText } = await post(request, url, file);
  if (request.wasCancelled) {
    chip.remove();
  } else if (status === 201) {
    const [fresh] = nodes(responseText);
    const shown = await picture;
    if (shown) fresh.querySelector(".attachment__icon").replaceChildren(shown); // what is here already is not fetched
    chip.replaceWith(fresh);
    window.htmx?.process(fresh);
    changed();
  } else {
    chip.dataset.state = "failed";
    chip.querySelector("small").textContent = status && status < 500 ? responseText : word("failed");
    bar.remove();
    cancel.remove();
    const offered = document.getElementById("upload-failed-template").content.cloneNode(true);
    offered.querySelector("[data-retry]").addEventListener("click", () => { chip.remove(); again(file); });
    offered.querySelector("[data-discard]").addEventListener("click", () => chip.remove());
    chip.append(offered);
  }
}

/** By XMLHttpRequest, for fetch does not tell how much has left. */
function post(request, url, file) {
  const form = new FormData();
  form.append("file", file, file.name);
  return new Promise((resolve) => {
    request.addEventListener("abort", () => { request.wasCancelled = true; });
    request.addEventListener("loadend", () => resolve(request));
    request.open("POST", url);
    request.setRequestHeader("HX-Request", "true");
    request.setRequestHeader("X-CSRFToken", csrfToken());
    request.send(form);
  });
}

/** Drawn from the file itself, before any of it has left. */
async function previewOf(file, place) {
  if (!file.type.startsWith("image/")) return null;
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return null;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = PREVIEW;
  const scale = Math.max(PREVIEW / bitmap.width, PREVIEW / bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  canvas.getContext("2d").drawImage(bitmap, (PREVIEW - width) / 2, (PREVIEW - height) / 2, width, height);
  bitmap.close();
  place.replaceChildren(canvas);
  return canvas;
}
