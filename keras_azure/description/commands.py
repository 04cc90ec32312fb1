"""Commands in messages, written so that a shell takes each word as it is meant, whatever is in a path."""

import os
import shlex

_SPECIAL = {*'"$`\\!\n'}  # within double quotes


def command(*words: object) -> str:
    """What somebody can copy into a shell: `command("kaz", "resume", Path("my runs"))` is "kaz resume 'my runs'".

    On Windows it has the double quotes that its programs know.
    """
    texts = [str(word) for word in words]
    if os.name == "nt":
        from subprocess import list2cmdline  # which nobody else needs

        return list2cmdline(texts)
    return " ".join(map(_quoted, texts))


def _quoted(word: str) -> str:
    """With double quotes where they leave a word as it is: single ones of its own would be quoted one by one."""
    return f'"{word}"' if "'" in word and not _SPECIAL & {*word} else shlex.quote(word)
