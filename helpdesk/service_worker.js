/*
 * What an installed app shows without a network: one page that says so, with its style. It keeps these files and nothing else: what
 * belongs to a ticket is never stored by it. And what it is told by push. NAME, OFFLINE, SHELL and ICON stand before this text
 * (helpdesk/views.py).
 */

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith("shell-") && name !== NAME);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.registration.navigationPreload?.enable(); // the page is asked for while this worker still starts
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.mode === "navigate" && request.destination === "document") event.respondWith(navigated(event));
  else if (SHELL.includes(new URL(request.url).pathname)) event.respondWith(fetch(request).catch(() => kept(request)));
});

async function navigated(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return kept(OFFLINE);
  }
}

function kept(what) {
  return caches.match(what, { ignoreVary: true });
}

/*
 * Push (tickets/push.py): {title, body, url, tag, notification}. Browsers ask that each one is shown; whether it is worth showing was
 * decided before it was sent. One for each ticket, the newest in place of the former.
 */

const BURST_MS = 600_000; // within it the former has rung already
const ANSWER_MS = 1000;

self.addEventListener("push", (event) => event.waitUntil(tell(event.data?.json() ?? { title: "Helpdesk", url: "/" })));

async function tell({ title, body = "", url, tag, notification }) {
  const [former] = tag ? await self.registration.getNotifications({ tag }) : [];
  const renotify = Boolean(former) && Date.now() - (former.data?.at ?? 0) > BURST_MS;
  const options = { body, tag, renotify, icon: ICON, data: { url, notification, at: Date.now() } };
  const shown = await self.registration.showNotification(title, options).then(() => true, () => false);
  for (const page of await pages()) page.postMessage({ type: "pushed", tag, shown });
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(follow(event.notification.data));
});

/** To the page that shows it; else one of ours opens it, and keeps what is written there; else a new one. */
async function follow({ url, notification }) {
  const open = await pages();
  const page = open.find((one) => new URL(one.url).pathname === url) ?? open[0];
  if (!page) return self.clients.openWindow(url);
  await page.focus().catch(() => {});
  if (await asked(page, { type: "open", url, notification })) return page;
  return page.navigate(url).catch(() => self.clients.openWindow(url));
}

/** Whether the page answers that it does what it is asked: one of an older version, or without the bell, says nothing. */
function asked(page, message) {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve(true);
    setTimeout(() => resolve(false), ANSWER_MS);
    page.postMessage(message, [port2]);
  });
}

/** Our windows, the one that was used last first; not what they hold in frames. */
async function pages() {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  return windows.filter((page) => page.frameType !== "nested");
}

/** The push service gives out a new address: it is told to the server, which knows this browser by its cookie. */
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(subscribeAnew(event)));

async function subscribeAnew(event) {
  const answer = await fetch("/notifications/devices/", { credentials: "same-origin" });
  if (!answer.ok || answer.redirected) return; // nobody is signed in
  const { key, token } = await answer.json();
  const fresh = event.newSubscription ?? (await self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }));
  const { endpoint, keys } = fresh.toJSON();
  await fetch("/notifications/devices/", { method: "POST", credentials: "same-origin", headers: { "X-CSRFToken": token }, body: new URLSearchParams({ endpoint, ...keys }) });
}
