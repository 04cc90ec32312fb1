"""What a class can be called."""

import unicodedata


def problem_with(name: str) -> str:
    """Why a class cannot be called so: its name is written to files and to terminals. Empty if it can."""
    categories = {unicodedata.category(character) for character in name}
    if "Cs" in categories:  # how Python stands for bytes that are no text
        return "is not UTF-8"
    if not name.strip():
        return "is empty"
    return "has control characters in it" if "Cc" in categories else ""
