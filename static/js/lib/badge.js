/** How much is unread, where one sees it from another tab: "(3)" before the title, a dot on the icon. */

const SIZE = 64;
const title = document.querySelector("title");
const icon = document.querySelector("link[rel='icon']");
const plain = icon?.href;
let count = 0;

const prefix = () => (count ? `(${count > 99 ? "99+" : count}) ` : "");

/** Screens change the title as they like; the number stays in front of it. */
function keepTitle() {
  const wanted = prefix() + document.title.replace(/^\(\d+\+?\) /, "");
  if (document.title !== wanted) document.title = wanted;
}

async function drawIcon() {
  if (!icon) return;
  const drawn = count;
  if (!drawn) {
    icon.href = plain;
    return;
  }
  const picture = new Image(SIZE, SIZE);
  picture.src = plain;
  await picture.decode().catch(() => {});
  if (drawn !== count) return;
  const canvas = Object.assign(document.createElement("canvas"), { width: SIZE, height: SIZE });
  const pen = canvas.getContext("2d");
  if (picture.naturalWidth || picture.width) pen.drawImage(picture, 0, 0, SIZE, SIZE);
  pen.beginPath();
  pen.arc(SIZE * 0.74, SIZE * 0.26, SIZE * 0.25, 0, 2 * Math.PI);
  pen.fillStyle = "#D92D20";
  pen.fill();
  pen.lineWidth = SIZE * 0.06;
  pen.strokeStyle = "#FFFFFF";
  pen.stroke();
  icon.href = canvas.toDataURL("image/png");
}

export function showCount(unread) {
  if (unread === count) return;
  const had = count > 0;
  count = unread;
  keepTitle();
  if (had !== count > 0) drawIcon();
  if (navigator.setAppBadge) (count ? navigator.setAppBadge(count) : navigator.clearAppBadge()).catch(() => {});
}

new MutationObserver(keepTitle).observe(title, { childList: true, characterData: true, subtree: true });
