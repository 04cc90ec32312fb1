"""Secrets in text, known by their form or because an environment variable holds them, and hidden.

What is kept or shown must hold none: the description of a run, its record in MLflow, errors, lines on the screen.

Text from elsewhere, such as the name of a file, is also made fit for a terminal and for UTF-8 here. Errors, displays
and the command's output do both for whatever they are given, so that nobody else has to.
"""

import base64
import contextlib
import functools
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"
SHORTEST_VALUE = 8  # characters: a shorter value of an environment variable may well be an ordinary word

_SECRET_NAME = re.compile(
    r"""PASSW(OR)?D | CONN(ECTION)?_?STR | INSTRUMENTATION_?KEY | ^IDENTITY_HEADER$ | _(KEY|PWD)$
    | (^|_) (SECRETS? | TOKENS? | CREDENTIALS? | PASSPHRASE | SAS | AUTHORIZATION
             | (API | ACCESS | ACCOUNT | PRIVATE | SHARED | STORAGE)_?KEYS?) (_|\d|$)""",
    re.IGNORECASE | re.VERBOSE,
)

_EQUALS = r"(?:=(?!=)|%(?:25)*3D)"  # as it is, or percent-encoded once or more
_PART = r"(?:[?&\#]|&amp;|\\u0026|%(?:25)*(?:26|3F))"  # where a part of an address's query begins
_CHARACTER = r"""(?:(?!%(?:25)*26)(?:[^\s&;"'\\\x1b]|\\(?!["'])))"""  # of a value that stands without quotes
_QUOTE = r"""(\\*["'])?"""  # the second group of its form
_VALUE = rf"(?(2)(?:(?!\2)(?:\\.|.))+|{_CHARACTER}+)"  # in the quotes that _QUOTE has found, or without

# What a secret is called, and its form: the first group stays, what is behind it is the secret.
_FORMS = (
    ("a private key", r"()-----BEGIN [A-Z ]*PRIVATE KEY(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY[A-Z ]*-----|\Z)"),
    ("a JSON Web Token", r"()eyJ[\w-]{5,4000}\.[\w-]+\.[\w-]*"),
    ("a GitHub token", r"()(?:gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,})"),
    ("a Hugging Face token", r"()hf_[A-Za-z0-9]{20,}"),
    ("an AWS key", r"()(?:AKIA|ASIA)[A-Z0-9]{16}"),
    ("an Azure client secret", r"()[\w.~-]{3}\dQ~[\w.~-]{31,34}"),
    ("a storage account's key", r"()[A-Za-z0-9+/]{86}=="),
    (
        "an API key",
        r"()(?<![A-Za-z0-9])sk-(?:(?=[\w-]{0,50}\d)(?=[\w-]{0,50}[A-Z])|(?:\w{1,9}-){0,4}(?=\w{20}))[\w-]{20,}",
    ),
    ("an API key", r"()(?:AIza[\w-]{35}|xox[abeoprs]-[\w-]{10,}|glpat-[\w-]{20,}|dapi[0-9a-f]{32})"),
    ("a shared access signature", r"""(?i)(SharedAccessSignature\s*=\s*["']?)[^\s;"'\x1b]+"""),
    ("a shared access signature", rf"(?i)({_PART}sig{_EQUALS}){_CHARACTER}+"),
    ("a shared access signature", rf"(?i)((?<![A-Za-z0-9_])sig{_EQUALS}){_CHARACTER}{{8,}}"),
    # A name alone is a secret in these; abfss://name@account is a container.
    ("a password or a token in an address", r"""(?i)(https?:[/\\]+)[^\s/\\"'@?#]+(?=@)"""),
    (
        "a password or a token in an address",
        # What looks like a port is none; a password may hold an @, and after that a slash.
        r"""(?x) ( :[/\\]+ | // ) [^\s/\\"'@:?\#\[]* : (?!\d{1,5}[/?\#])
        (?: [^\s/\\"?\#]{0,1000} (?=@) | [^\s"]{0,1000}? (?=@) )""",
    ),
    (
        "a password or a token in an address",
        rf"""(?ix) ( {_PART} (?: [\w.-]{{0,40}}? (?:token|secret|password|signature|credential|apikey|accesskeyid)
        | (?:[\w.-]{{0,40}}[_.-])? (?:key|code|auth|jwt|pwd|sas|pass|session|assertion) ) {_EQUALS} ) {_CHARACTER}+""",
    ),
    (
        "the key of a connection string",
        rf"(?i)((?:account|shared_?access|instrumentation)_?key\s*{_EQUALS}\s*{_QUOTE}){_VALUE}",
    ),
    (
        "a password, a key or a token",
        rf"""(?ix) ( (?: pass(?:word|wd|phrase) | secret | credentials? | (?<=;)pwd
        | (?:access|api|private|subscription|encryption|signing|master)[_-]?key
        | (?:access|refresh|id|auth|bearer|sas|session|security|run)[_-]?token )
        (?: \\*["']? \s* {_EQUALS} \s* {_QUOTE} ) ) {_VALUE}""",
    ),
    (
        "a password, a key or a token",
        # A colon is common in sentences too, so here the value is in quotes or has a digit.
        rf"""(?ix) ( (?: pass(?:word|wd|phrase) | secret | credentials? | [_-]token
        | (?:account|access|api|private|subscription)[_-]?key ) \\*["']? \s* : \s* {_QUOTE} )
        (?(2)|(?={_CHARACTER}{{0,200}}\d)) {_VALUE}""",
    ),
    (
        "a token",
        rf"""(?ix) ( (?<![a-z]) (?:token|signature|jwt) \\*["']? \s* (?:{_EQUALS}|:) \s* (?:\\*["'])? )
        (?={_CHARACTER}{{0,200}}\d) {_CHARACTER}{{8,}}""",
    ),
    (
        "a header that authorizes",
        rf"""(?ix) ( authorization \\*["']? \s* [:=] \s* (?:\\*["'])?
        (?:(?:basic|bearer|token|digest|sharedkey|negotiate|apikey)\s+)? ) {_CHARACTER}+""",
    ),
    ("a bearer token", r"(?i)(\bbearer\s+)(?=\S{0,200}\d|\S{20})[\w.~+/=-]{8,}"),
)


def redacted(text: str) -> str:
    """The text with `***` in place of every secret; a text without one comes back as it is."""
    # What stands around a secret may be another one only now; nothing but stars is ever added, so this comes to an end.
    while (hidden := _hidden_once(text)) != text:
        text = hidden
    return text


def find_secret(text: str) -> str | None:
    """What kind of secret the text holds, in words that do not give it away: "a shared access signature"; or None."""
    for kind, form in _forms():
        if _hide(form, text) != text:
            return kind
    for value, name in _environment_values():
        if value in text:
            return f"what the environment variable {name} holds"
    return None


def _hidden_once(text: str) -> str:
    # Values come first: a form may match only a part of one.
    for value, _ in _environment_values():
        text = text.replace(value, HIDDEN)
    for _, form in _forms():
        text = _hide(form, text)
    return text


def _hide(form: re.Pattern[str], text: str) -> str:
    return form.sub(rf"\1{HIDDEN}", text)


@functools.cache
def _forms() -> tuple[tuple[str, re.Pattern[str]], ...]:
    # Compiled when the first text is looked at: importing this module costs next to nothing.
    return tuple((kind, re.compile(form)) for kind, form in _FORMS)


def _environment_values() -> tuple[tuple[str, str], ...]:
    """Each text that gives away what an environment variable holds, and the variable's name; the longest first."""
    # Not items(): another thread may remove a variable meanwhile.
    return _values_of(tuple((name, os.environ.get(name, "")) for name in list(os.environ)))


@functools.lru_cache(maxsize=2)
def _values_of(environment: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    values: dict[str, str] = {}
    for name, text in environment:
        for secret in _secrets_of(name, text):
            for written in _ways_to_write(secret):
                values.setdefault(written, name)
    return tuple(sorted(values.items(), key=lambda item: -len(item[0])))


def _secrets_of(name: str, text: str) -> Iterator[str]:
    """What of a variable's text must not be shown: all of it, or the password of an address, the key of a string."""
    candidates = []
    if _SECRET_NAME.search(name) and not _is_existing_path(text):
        candidates += [text, *text.splitlines()]  # a key of many lines may be shown by the line
    for _, form in _forms():
        found = [match[0].removeprefix(match[1]) for match in form.finditer(text)]
        passwords = [secret.partition(":")[2] for secret in found]  # of user:password in an address
        candidates += [*found, *passwords, *map(unquote, found), *map(unquote, passwords)]
    for candidate in map(str.strip, candidates):
        if len(candidate) >= SHORTEST_VALUE and set(candidate) != {"*"}:
            yield candidate


def _is_existing_path(text: str) -> bool:
    with contextlib.suppress(OSError, ValueError):  # too long, or with a null byte
        return Path(text).is_absolute() and Path(text).exists()
    return False


def _ways_to_write(secret: str) -> Iterator[str]:
    """The text as it is, in Python, in JSON, in an address, and what shows of it in base64, wherever it begins."""
    yield from (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1])
    for quoted in (quote(secret, errors="surrogateescape"), quote(secret, "", errors="surrogateescape")):
        yield from (quoted, re.sub("%..", lambda code: code[0].lower(), quoted))
    yield quote_plus(secret, errors="surrogateescape")
    secret_bytes = secret.encode("utf-8", "surrogateescape")
    for before in range(3):
        # Three bytes are four characters; those that share bits with what stands before or behind are left out.
        first, last = -(-8 * before // 6), 8 * (before + len(secret_bytes)) // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + secret_bytes).decode()[first:last]


def escape_what_cannot_be_encoded() -> None:
    r"""Lets stdout and stderr show any text, whatever encoding a terminal has: "\\u732b" where it has no such letter.

    Python does so for stderr alone, and ends with an error for stdout.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def printable(text: object) -> str:
    r"""`str(text)` with line ends, control characters and halves of surrogate pairs as Python writes them: "\x1b".

    What is printed raw could move the cursor, colour or hide what stands before it, or not be encoded at all.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in str(text)
    )


def printable_lines(text: str) -> str:
    r"""As `printable`, of a text that may have several lines: "\n" stays."""
    return "\n".join(map(printable, text.split("\n")))
