/** <notification-test>: asks for the permission when one presses the button, shows a test, and says why it failed. */

import { sound } from "../lib/sound.js";

const ANSWER_MS = 2500;

class NotificationTest extends HTMLElement {
  connectedCallback() {
    this.querySelector("[data-test='desktop']").addEventListener("click", () => this.#desktop());
    this.querySelector("[data-test='sound']").addEventListener("click", async () => this.#say((await sound()) ? "sounded" : "muted"));
    this.#showState();
  }

  get #state() {
    if (!isSecureContext) return "insecure";
    return window.Notification ? Notification.permission : "unsupported";
  }

  #showState() {
    this.querySelector("[data-state]").textContent = this.dataset[this.#state];
  }

  #say(name) {
    this.querySelector("[data-result]").textContent = this.dataset[name];
  }

  async #desktop() {
    if (this.#state === "default") await Notification.requestPermission();
    this.#showState();
    if (this.#state !== "granted") {
      this.#say(this.#state === "default" ? "dismissed" : this.#state);
      return;
    }
    this.#say(await this.#shown());
  }

  /** The browser says "show" when it has handed it to the system; a focus mode of the system it does not know. */
  #shown() {
    return new Promise((resolve) => {
      try {
        const test = new Notification(this.dataset.title, { body: this.dataset.body, icon: this.dataset.icon, tag: "test", silent: true });
        test.addEventListener("show", () => resolve("shown"));
        test.addEventListener("error", () => resolve("failed"));
        setTimeout(() => resolve("failed"), ANSWER_MS);
      } catch {
        resolve("unsupported");
      }
    });
  }
}

customElements.define("notification-test", NotificationTest);
