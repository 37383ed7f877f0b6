/** The page of one customer. */

import { startCustomer } from "./lib/customer.js";
import { ahead, late } from "./lib/late.js";
import { nodes, replace } from "./lib/nodes.js";
import { text } from "./lib/request.js";

const customer = startCustomer({
  savePanes: document.getElementById("app").dataset.savePanes,
  refresh,
});

async function refresh() {
  const html = await text(location.pathname).catch(() => "");
  const fresh = nodes(html).flatMap((node) => [node, ...node.querySelectorAll("[id]")]).find((node) => node.id === "customer-page");
  if (!fresh || customer.later(refresh)) return;
  replace(document.getElementById("customer-page"), fresh);
  document.dispatchEvent(new CustomEvent("customer:shown"));
}

ahead(late(() => import("./lib/peeks.js"), (address) => import(address), ({ startPeeks }) => startPeeks()));
