/* The launcher on a customer's page. It holds no token and reads no message; the panel is a frame of our host.
   <script async src="https://help.example.com/widget.js" data-channel="shop-chat"></script>
   (window.HelpdeskChat ||= []).push(["identify", () => fetch("/chat-token").then((r) => r.text())]); */
(() => {
  const script = document.currentScript;
  const { channel, theme, position } = script.dataset;
  const queue = window.HelpdeskChat || [];
  if (!channel || queue.open) return;
  const host = new URL(script.src).origin;
  const lang = (script.dataset.lang || document.documentElement.lang || navigator.language || "en").slice(0, 2);
  const [openText, closeText, name, unreadText] = lang === "ko"
    ? ["채팅 열기", "채팅 닫기", "채팅", "읽지 않은 메시지"] : ["Open chat", "Close chat", "Chat", "unread"];
  const mark = `helpdesk-chat:${channel}`;
  const handlers = {};
  const remember = (on) => { try { on ? localStorage.setItem(mark, "1") : localStorage.removeItem(mark); } catch { /* no storage */ } };
  let root, button, badge, dialog, frame, ready = false, isOpen = false, identity = null;

  const dark = () => theme || (getComputedStyle(document.documentElement).colorScheme === "dark" ? "dark" : "");
  const emit = (what, value) => (handlers[what] || []).forEach((handler) => handler(value));
  const tell = (type, more) => { if (frame) frame.contentWindow.postMessage({ helpdesk: 1, type, ...more }, host); };
  const page = () => location.origin + location.pathname;

  const make = (tag, attributes, parent) => {
    const element = document.createElement(tag);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    return parent.appendChild(element);
  };

  const load = () => {
    if (frame) return;
    const query = new URLSearchParams({ origin: location.origin, lang, theme: dark() });
    frame = make("iframe", { title: name, src: `${host}/chat/${channel}/panel/?${query}` }, dialog);
  };

  const show = (on) => {
    isOpen = on;
    load();
    dialog.classList.toggle("on", on);
    button.setAttribute("aria-expanded", on);
    label();
    if (ready) tell(on ? "open" : "close", { page: page() });
    on ? frame.focus() : button.focus();
    emit(on ? "open" : "close");
  };

  const label = (unread = +badge.textContent) => {
    badge.textContent = unread || "";
    button.setAttribute("aria-label", isOpen ? closeText : unread ? `${openText} (${unread} ${unreadText})` : openText);
  };

  const answerIdentity = async () => {
    let token = null;
    try { token = typeof identity === "function" ? await identity() : identity; } catch { /* the site could not say: anonymous */ }
    tell("identity", { token: typeof token === "string" ? token.trim() : null });
  };

  addEventListener("message", ({ origin, source, data }) => {
    if (!frame || origin !== host || source !== frame.contentWindow || !data || data.helpdesk !== 1) return;
    if (data.type === "ready") {
      ready = true;
      if (isOpen) tell("open", { page: page() });
    } else if (data.type === "identity") answerIdentity();
    else if (data.type === "close") show(false);
    else if (data.type === "session") remember(data.on === true);
    else if (data.type === "unread") { label(Number(data.count) || 0); emit("unread", Number(data.count) || 0); }
  });

  const api = {
    open: () => root && show(true),
    close: () => root && isOpen && show(false),
    identify: (given) => { identity = given; if (ready) answerIdentity(); },
    on: (what, handler) => { (handlers[what] ||= []).push(handler); },
    push: ([what, ...given]) => { if (["open", "close", "identify", "on"].includes(what)) api[what](...given); },
  };

  const draw = (look) => {
    root = make("helpdesk-chat", {}, document.body).attachShadow({ mode: "open" });
    const style = new CSSStyleSheet(); // made by script: no inline style that the page's policy could refuse
    style.replaceSync(CSS.replaceAll("$side", position === "left" ? "left" : "right").replace("$accent", look.accent || "#2F5BD7"));
    root.adoptedStyleSheets = [style];
    dialog = make("div", { role: "dialog", "aria-label": `${name} · ${look.name}`, id: "panel" }, root);
    button = make("button", { type: "button", "aria-expanded": "false", "aria-controls": "panel" }, root);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS(svg.namespaceURI, "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", "M12 3.5c-5 0-9 3.4-9 7.7 0 2.4 1.3 4.6 3.3 6l-.6 3.1c-.1.4.3.7.7.5l3.5-1.8c.7.1 1.4.2 2.1.2 5 0 9-3.5 9-7.9s-4-7.8-9-7.8Z");
    svg.append(path);
    button.append(svg);
    badge = make("span", { "aria-hidden": "true" }, button);
    label(0);
    button.addEventListener("click", () => show(!isOpen));
    button.addEventListener("pointerenter", load, { once: true });
    addEventListener("keydown", (event) => { if (event.key === "Escape" && isOpen && !event.defaultPrevented) show(false); });
    let used = false;
    try { used = !!localStorage.getItem(mark); } catch { /* no storage */ }
    if (used) load(); // unread messages show without a click
    [...queue].forEach(api.push);
    dispatchEvent(new Event("helpdesk-chat"));
  };

  const CSS = `:host{all:initial;--a:$accent}
button{all:unset;box-sizing:border-box;position:fixed;$side:20px;bottom:20px;width:56px;height:56px;border-radius:50%;background:var(--a);cursor:pointer;display:grid;place-items:center;box-shadow:0 6px 20px #0003;z-index:2147483000}
button:hover{filter:brightness(1.08)}button:focus-visible{outline:2px solid var(--a);outline-offset:3px}
svg{width:28px;fill:#fff}
span{position:absolute;top:-3px;right:-3px;min-width:20px;box-sizing:border-box;padding:0 6px;border-radius:10px;background:#bd2b22;color:#fff;font:600 12px/20px system-ui,sans-serif;text-align:center}span:empty{display:none}
div{position:fixed;$side:20px;bottom:88px;width:392px;max-width:calc(100vw - 40px);height:min(680px,calc(100vh - 108px));border-radius:16px;overflow:hidden;box-shadow:0 16px 48px #0004;z-index:2147483000;visibility:hidden;opacity:0;transition:opacity .14s,visibility .14s}
div.on{visibility:visible;opacity:1}
iframe{border:0;width:100%;height:100%;display:block;color-scheme:light dark}
@media(max-width:480px){div{inset:0;width:100%;max-width:none;height:100%;border-radius:0}div.on+button{display:none}}
@media print{:host{display:none}}`;

  window.HelpdeskChat = api;
  const begin = () => fetch(`${host}/chat/${channel}/boot/`, { credentials: "omit" })
    .then((answer) => (answer.ok ? answer.json() : null))
    .then((look) => { if (look) draw(look); })
    .catch(() => { /* not a page that may embed us, or we are away: no launcher */ });
  const idle = window.requestIdleCallback || ((then) => setTimeout(then, 200));
  document.readyState === "complete" ? idle(begin) : addEventListener("load", () => idle(begin), { once: true });
})();
