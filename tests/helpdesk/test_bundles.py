"""How the modules of the first load become few files."""

from pathlib import Path

import pytest

from helpdesk import bundles

ROOT = Path(__file__).parents[2] / "static"
TREE = {
    "js/app.js": 'import { hello as greet } from "./lib/words.js";\nimport "./elements/late.js";\ngreet();\n',
    "js/workspace.js": 'import { Desk } from "./lib/desk.js"; // the desk\nimport { hello } from "./lib/words.js";\nnew Desk();\n',
    "js/lib/words.js": 'import { deep } from "./deep.js";\nexport function hello() { return deep; }\nexport const two = "a  b";\n',
    "js/lib/deep.js": "/** Deep. */\nexport const deep = 1; // one\n",
    "js/lib/desk.js": 'import { hello } from "./words.js";\nimport { box } from "./box.js";\nexport class Desk { hello = hello; box = box; }\n',
    "js/lib/box.js": "export const box = 2;\n",
    "js/elements/late.js": 'import { two } from "../lib/words.js";\nimport("./later.js");\n',
    "js/elements/later.js": 'import { hello } from "../lib/words.js";\nimport { box } from "../lib/box.js";\nimport { own } from "./own.js";\nhello(own, box);\n',
    "js/elements/own.js": "export const own = 3;\n",
}


def made(**changes: str) -> dict[str, str]:
    tree = TREE | {name.replace("__", "/") + ".js": text for name, text in changes.items()}
    return dict(bundles.scripts(tree, tree.__getitem__))


def test_modules_stand_in_the_order_of_their_evaluation():
    text = made()["js/bundle-app.js"]
    assert text.index("m_lib_deep=") < text.index("m_lib_words=")
    assert "const{deep}=m_lib_deep;" in text and 'two="a  b"' in text
    assert "one" not in text and "Deep." not in text
    assert "export { m_lib_deep, m_lib_words" in text


def test_an_entry_takes_its_names_out_of_the_bundles():
    files = made()
    assert files["js/app.js"].startswith(
        'import { m_lib_words } from "./bundle-app.js";\nimport "./elements/late.js";\n'
    )
    assert "const{hello:greet}=m_lib_words;" in files["js/app.js"]
    assert 'import { m_lib_desk } from "./bundle-workspace.js";' in files["js/workspace.js"]
    assert 'import { m_lib_box, m_lib_words } from "./bundle-app.js";' in files["js/bundle-workspace.js"]


def test_what_another_page_needs_too_stands_in_the_first_bundle():
    files = made()
    assert "m_lib_box=" in files["js/bundle-app.js"] and "m_lib_box=" not in files["js/bundle-workspace.js"]
    assert "m_lib_desk=" not in files["js/bundle-app.js"]
    assert files["js/elements/later.js"].startswith(
        'import { m_lib_box, m_lib_words } from "../bundle-app.js";\nimport { own } from "./own.js";\n'
    )


def test_a_bundled_module_asked_for_by_name_is_the_same_one():
    assert made()["js/lib/words.js"] == (
        'import { m_lib_words } from "../bundle-app.js";\nexport const { hello, two } = m_lib_words;\n'
    )


def test_what_imports_later_stays_a_file_of_its_own():
    files = made()
    assert "m_elements_late" not in files["js/bundle-app.js"]
    assert 'import("./later.js")' in files["js/elements/late.js"]


@pytest.mark.parametrize(
    "text",
    [
        "export default 1;\n",
        "export let n = 1;\n",
        'import all from "./box.js";\n',
        'import * as all from "./box.js";\n',
        'export { box } from "./box.js";\n',
        "await 1;\n",
    ],
)
def test_what_is_written_otherwise_is_refused(text):
    with pytest.raises(bundles.BundleError, match=r"js/lib/deep\.js"):
        made(js__lib__deep=text)


def test_a_circle_is_refused():
    with pytest.raises(bundles.BundleError, match="detour"):
        made(js__lib__deep='import { two } from "./words.js";\nexport const deep = two;\n')


def test_the_style_sheet_holds_what_it_imports():
    files = {
        "css/app.css": '@layer a, b;\n@import url("x/y.css"); /* y */\n',
        "css/x/y.css": "/* no */\n  .y  .z { top: 0;\n content: ', ' }\n",
    }
    assert bundles.sheet(files.__getitem__) == "@layer a,b;.y .z{top: 0;content: ', '}\n"
    files["css/x/y.css"] = ".y { background: url(z.png); }"
    with pytest.raises(bundles.BundleError, match="css/x/y"):
        bundles.sheet(files.__getitem__)


def test_our_own_files_can_be_bundled():
    names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
    files = dict(bundles.bundles(names, lambda name: (ROOT / name).read_text()))
    assert "@import" not in files["css/app.css"] and files["css/app.css"].count("@layer") > 5
    assert files["js/bundle-app.js"].count("=(()=>") > 10
    for name in ("js/app.js", "js/workspace.js"):
        assert "bundle-app.js" in files[name]
