"""Quoting of one word for each language that the payload is written in."""

from __future__ import annotations

from collections.abc import Iterable

# Characters that systemd takes as they are, quoted or not; man systemd.service, COMMAND LINES.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@+")
_ESCAPED = {'"': '\\"', "\\": "\\\\", "%": "%%", "$": "$$", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def systemd_word(word: str) -> str:
    """Return a word as a unit file must spell it for the program to get exactly that word.

    Raises:
        ValueError: The word holds a NUL, which no program can be given.
    """
    if "\0" in word:
        raise ValueError(f"{word!r} holds a NUL.")
    if word and _PLAIN.issuperset(word):
        return word
    return '"' + "".join(map(_systemd_character, word)) + '"'


def systemd_command(words: Iterable[str]) -> str:
    """Return a command line for ExecStart= and its kind; the first word is the program's path."""
    return " ".join(map(systemd_word, words))


def _systemd_character(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    if character.isascii() and character.isprintable():
        return character
    # Bytes, since YAML 1.1 takes some characters beyond ASCII for ends of lines.
    return "".join(f"\\x{byte:02x}" for byte in character.encode())
