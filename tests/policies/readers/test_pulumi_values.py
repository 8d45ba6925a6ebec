"""Values of every door become the same plain values."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuwright_policies.facts import UNKNOWN
from gpuwright_policies.readers.pulumi_values import (
    OUTPUT_SIGNATURE,
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN_TEXTS,
    plain,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("text", sorted(UNKNOWN_TEXTS))
def test_every_sign_for_unknown_is_known(text: str) -> None:
    assert plain({"a": [text]}) == {"a": [UNKNOWN]}


def test_a_whole_float_is_an_integer() -> None:
    assert repr(plain([1.0, 1.5])) == "[1, 1.5]"


@pytest.mark.parametrize(
    ("secret", "opened"),
    [
        ({SIGNATURE_KEY: SECRET_SIGNATURE, "value": {"a": 1.0}}, {"a": 1}),
        ({SIGNATURE_KEY: SECRET_SIGNATURE, "plaintext": '"x"'}, "x"),
        ({SIGNATURE_KEY: SECRET_SIGNATURE, "plaintext": "{"}, UNKNOWN),
        ({SIGNATURE_KEY: SECRET_SIGNATURE, "ciphertext": "v1:abc"}, UNKNOWN),
        ({SIGNATURE_KEY: OUTPUT_SIGNATURE, "value": "x"}, "x"),
        ({SIGNATURE_KEY: OUTPUT_SIGNATURE}, UNKNOWN),
        ({SIGNATURE_KEY: "c44067f5952c0a294b673a41bacd8c17", "text": "an asset"}, UNKNOWN),
    ],
)
def test_a_secret_is_opened_where_it_can_be(secret: dict[str, Any], opened: Any) -> None:
    assert plain({"s": secret}) == {"s": opened}


def test_the_values_of_the_policy_sdk_are_read_around_what_is_unknown() -> None:
    proxies = pytest.importorskip("pulumi_policy.proxy", reason="the policy extra is not installed")
    wire = {
        "a": "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "b": [{"c": 1.0}, "3eeb2bf0-c639-47a8-9e75-3b44932eb421"],
    }
    assert plain(proxies.unknown_checking_proxy(wire)) == {"a": UNKNOWN, "b": [{"c": 1}, UNKNOWN]}


def test_what_is_no_json_is_unknown() -> None:
    assert plain({"a": object(), "b": b"bytes"}) == {"a": UNKNOWN, "b": UNKNOWN}


@settings(deadline=None)
@given(JSON)
def test_plain_json_stays_as_it_is(value: Any) -> None:
    assert plain(value) == value


def test_a_bottomless_value_ends() -> None:
    value: list[Any] = []
    value.append(value)
    assert "UNKNOWN" in repr(plain(value))
