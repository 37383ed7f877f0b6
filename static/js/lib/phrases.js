/** The workspace's own sentences, in the page's language: a JSON block that workspace/page.html writes. */

import { block, filled } from "./words.js";

const phrases = block("workspace-words", {});

export const phrase = (name, values) => filled(phrases[name] ?? name, values);
