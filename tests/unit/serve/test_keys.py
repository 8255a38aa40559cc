"""Keys."""

from __future__ import annotations

import pytest

from volant.errors import BadInput
from volant.serve.keys import Guard, is_loopback, refuse_open_door, resolve
from volant.serve.problems import HttpError


def test_a_key_stands_in_the_file_or_in_the_environment():
    assert resolve(None) is None
    assert resolve("abc") == "abc"
    assert resolve("${KEY}", {"KEY": " abc "}) == "abc"


@pytest.mark.parametrize(("text", "environment"), [("${KEY}", {}), ("${KEY}", {"KEY": " "}), ("", {}), (" ", {})])
def test_an_empty_key_is_an_error(text, environment):
    with pytest.raises(BadInput) as caught:
        resolve(text, environment)
    assert caught.value.code == "key-required"


def test_only_the_key_is_admitted():
    guard = Guard("abc")
    guard.admit(b"Bearer abc")
    guard.admit(b"bearer  abc ")
    for wrong in (b"", b"abc", b"Bearer", b"Bearer abd", b"Basic abc", b"Bearer abc abc", b"Bearer \xff"):
        with pytest.raises(HttpError):
            guard.admit(wrong)


def test_without_a_key_all_are_admitted():
    Guard(None).admit(b"")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_needs_no_key(host):
    assert is_loopback(host)
    refuse_open_door(host, Guard(None))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "example.org", "127.0.0.1.example.org"])
def test_other_addresses_need_one(host):
    with pytest.raises(BadInput) as caught:
        refuse_open_door(host, Guard(None))
    assert caught.value.code == "key-required"
    refuse_open_door(host, Guard("abc"))
