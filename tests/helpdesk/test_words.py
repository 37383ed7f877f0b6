import gettext
import os

import pytest
from babel.messages.pofile import PoFileError

from helpdesk.words import compile_catalogs

PO = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Language: ko\\n"

msgid "Reply"
msgstr "답장"

#, fuzzy
msgid "Send"
msgstr "not sure"
"""


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "ko" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.po").write_text(PO)
    return folder / "django.po"


def test_a_catalogue_is_compiled_once_and_again_when_it_changed(tmp_path, source):
    target = source.with_suffix(".mo")
    assert compile_catalogs(tmp_path) == [target]
    words = gettext.translation("django", tmp_path, ["ko"])
    assert words.gettext("Reply") == "답장"
    assert words.gettext("Send") == "Send", "what a translator is not sure of is not shown"
    assert compile_catalogs(tmp_path) == []
    os.utime(source, (2_000_000_000, 2_000_000_000))
    assert compile_catalogs(tmp_path) == [target]


def test_a_broken_catalogue_is_an_error(tmp_path, source):
    source.write_text(PO + '\nmsgid "unfinished\n')
    with pytest.raises(PoFileError):
        compile_catalogs(tmp_path)
