/**
 * Modules that come later. One that could not be had, by a bad network or while the server is renewed, is asked for again: once at once,
 * with its next use, and when there is a connection again. Under another address, for many browsers remember that one failed and never ask
 * there again.
 */

const missing = new Set();

/**
 * Returns a function that gives the module, or what `begin(module)` made of it, once. `load` imports it in so many words: that is where its
 * name in this release stands. `under(address)` imports another address, for the one who calls this.
 */
export function late(load, under, begin = (module) => module) {
  const [, address] = /import\("([^"]+)"\)/.exec(load);
  let coming = null;
  let tries = 0;
  const again = () => under(`${address}?try=${tries += 1}`);
  function get() {
    coming ??= (tries ? again() : load().catch(again)).then(
      (module) => {
        missing.delete(get);
        return begin(module);
      },
      (error) => {
        missing.add(get);
        coming = null;
        throw error;
      },
    );
    return coming;
  }
  return get;
}

/** Fetch them, though nobody waits for them yet. */
export function ahead(...gets) {
  for (const get of gets) get().catch(() => {}); // whoever uses it says that it is not there
}

export function fetchMissing() {
  ahead(...missing);
}

addEventListener("online", fetchMissing);
