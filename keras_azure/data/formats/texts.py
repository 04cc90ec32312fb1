"""Many short texts in little memory."""

from array import array
from collections.abc import Iterator


class Texts:
    """A list of texts, which takes their bytes and 8 more each: a list of Python's own takes some 60 more each."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        return self.encoded(index).decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))

    def append(self, text: str) -> None:
        self._content += text.encode("utf-8", "surrogatepass")  # JSON may have halves of characters
        self._ends.append(len(self._content))

    def encoded(self, index: int) -> bytes:
        """A text as UTF-8, whose order is that of the texts."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        return bytes(self._content[self._ends[index] : self._ends[index + 1]])
