/** <push-switch>: push on this device, on or off, why it cannot be had, and a test of the whole way. The list of devices is the server's. */

import { nodes, replace } from "../lib/nodes.js";
import { send } from "../lib/request.js";
import { filled } from "../lib/words.js";

const ARRIVAL_MS = 20_000;
const WORKER_MS = 3000; // a private window may have none

class PushSwitch extends HTMLElement {
  connectedCallback() {
    this.switch = this.querySelector("[data-switch]");
    this.test = this.querySelector("[data-push-test]");
    this.worker = Promise.race([navigator.serviceWorker?.ready, new Promise((resolve) => setTimeout(resolve, WORKER_MS))]);
    this.switch.addEventListener("change", () => this.#busy(() => (this.switch.checked ? this.#turnOn() : this.#turnOff())));
    this.test.addEventListener("click", () => this.#busy(() => this.#tryOut()));
    // Another list of devices; while something is under way, its end says what is so: before it a press would go unheard.
    new MutationObserver(() => { if (this.ariaBusy !== "true") this.#show(); }).observe(this, { childList: true });
    this.#show();
  }

  /** What can be done here: on | off | denied | insecure | home | unsupported. */
  async #state() {
    if (!isSecureContext) return "insecure";
    if (navigator.standalone === false && !window.PushManager) return "home"; // Safari on iOS, in a tab
    const worker = await this.worker;
    if (!worker?.pushManager || !window.Notification) return "unsupported";
    if (Notification.permission === "denied") return "denied";
    const known = await worker.pushManager.getSubscription();
    return known && isFor(known, this.dataset.key) && this.#isListed ? "on" : "off";
  }

  /** Whether the server counts this browser among the devices. */
  get #isListed() {
    return this.querySelector("[data-devices]").hasAttribute("data-here");
  }

  async #show() {
    const state = await this.#state();
    this.switch.checked = state === "on";
    this.switch.disabled = state !== "on" && state !== "off";
    this.test.disabled = state !== "on";
    this.querySelector("[data-push-state]").textContent = this.dataset[state];
  }

  #say(name, values) {
    this.querySelector("[data-push-result]").textContent = filled(this.dataset[name] ?? name, values);
  }

  /** One thing at a time; what has the focus keeps it. */
  async #busy(work) {
    if (this.ariaBusy !== "true") {
      this.ariaBusy = "true";
      this.#say("");
      await work().catch(() => this.#say("failed"));
      this.ariaBusy = "false";
    }
    await this.#show();
  }

  async #turnOn() {
    if ((await Notification.requestPermission()) !== "granted") {
      this.#say(Notification.permission === "denied" ? "denied" : "dismissed");
      return;
    }
    const { pushManager } = await this.worker;
    const former = await pushManager.getSubscription();
    if (former && !isFor(former, this.dataset.key)) await former.unsubscribe();
    const options = { userVisibleOnly: true, applicationServerKey: bytes(this.dataset.key) };
    const subscription = await pushManager.subscribe(options).catch(() => null);
    if (!subscription) {
      this.#say("service");
      return;
    }
    const { endpoint, keys } = subscription.toJSON();
    const answer = await send("POST", this.dataset.devicesUrl, { form: { endpoint, ...keys } });
    if (answer.ok) this.#list(await answer.text());
    else this.#say(answer.status === 422 ? await answer.text() : "failed");
  }

  async #turnOff() {
    const { pushManager } = await this.worker;
    await (await pushManager.getSubscription())?.unsubscribe();
    const answer = await send("POST", this.dataset.removalUrl, { form: {} });
    if (answer.ok) this.#list(await answer.text());
    else this.#say("failed");
  }

  #list(html) {
    return replace(this.querySelector("[data-devices]"), ...nodes(html));
  }

  /** The server says whether the service took it, the worker whether it came. */
  async #tryOut() {
    this.#say("sending");
    const arrived = this.#arrival();
    const answer = await send("POST", this.dataset.testUrl, { form: {} });
    if (!answer.ok) throw new Error(answer.statusText);
    const { verdict, detail } = this.#list(await answer.text()).dataset;
    this.#say(verdict === "sent" ? await arrived : verdict, { detail });
  }

  #arrival() {
    return new Promise((resolve) => {
      const hear = ({ data }) => { if (data.type === "pushed" && data.tag === "test") done(data.shown ? "shown" : "hidden"); };
      const timer = setTimeout(() => done("late"), ARRIVAL_MS);
      function done(word) {
        clearTimeout(timer);
        navigator.serviceWorker.removeEventListener("message", hear);
        resolve(word);
      }
      navigator.serviceWorker.addEventListener("message", hear);
    });
  }
}

function isFor(subscription, key) {
  const made = subscription.options?.applicationServerKey;
  return !made || String(new Uint8Array(made)) === String(bytes(key));
}

function bytes(base64url) {
  return Uint8Array.from(atob(base64url.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}

customElements.define("push-switch", PushSwitch);
