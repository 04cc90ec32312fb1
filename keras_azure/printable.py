"""Text from elsewhere, such as the name of a file, made fit for a terminal and for UTF-8.

Errors, displays and the command's output do it for whatever they are given, so that nobody else has to.
"""


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
