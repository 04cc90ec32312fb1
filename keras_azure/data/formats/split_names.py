"""What data sets call their splits, and the option `split_names` for those who call them otherwise."""

import re

from keras_azure.data.formats.options import SPLITS

AS_CLASSES = "none"  # of the option: no folder is a split
_NOUN = "(?:data|dataset|images?|imgs?|pictures?|pics|photos?|set|split|folder|dir|files|samples)"
_USUAL = {
    "train": "train(?:ing)?|trn",
    "validation": "val|valid|validate|validation|dev|devel|development|eval|evaluation",
    "test": "test(?:ing)?|tst",
}
_NAMES = {split: re.compile(f"{_NOUN}*(?:{names}){_NOUN}*") for split, names in _USUAL.items()}


def usual_split(name: str) -> str | None:
    """The split that folders of this name usually are, in any case and with any separators; None if there is none.

    >>> usual_split("Training_Set")
    'train'
    """
    joined = re.sub(r"[\W_]+", "", name).casefold()
    return next((split for split, names in _NAMES.items() if names.fullmatch(joined)), None)


def parse_split_names(text: str) -> dict[str, str]:
    """The folders that the option `split_names` names, by their splits; none where it is empty or "none".

    >>> parse_split_names("train=Lehre,test=Pruefung")
    {'train': 'Lehre', 'test': 'Pruefung'}

    Raises:
        ValueError: it is no such text.
    """
    if text.strip() in ("", AS_CLASSES):
        return {}
    named: dict[str, str] = {}
    for part in text.split(","):
        name, equals, folder = (each.strip() for each in part.partition("="))
        split = name if name in SPLITS else usual_split(name)
        folder = folder.strip("/")
        if not equals or not folder or split is None or split in named or ".." in folder.split("/"):
            raise ValueError(
                f"split_names is 'train=FOLDER,test=FOLDER', with or without 'validation=FOLDER', or 'none', "
                f"and not {text!r}"
            )
        named[split] = folder
    if len({*named.values()}) < len(named):
        raise ValueError(f"split_names names one folder for two splits: {text!r}")
    return named
