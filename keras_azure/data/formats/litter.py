"""What lies about in folders and archives of images and is nobody's data."""

import re

IDX_IMAGES = "idx3-ubyte"  # in the name of every IDX file of images: train-images-idx3-ubyte.gz

# What systems and programs leave behind, in small letters. All of it is left out without a word.
_OF_SYSTEMS = frozenset(
    (
        # macOS, and archives that it made
        *("__macosx", ".ds_store", "icon\r", ".localized", ".apdisk", ".volumeicon.icns", ".temporaryitems"),
        *(".spotlight-v100", ".fseventsd", ".documentrevisions-v100", ".trashes", ".appledouble", ".appledb"),
        *(".appledesktop", "network trash folder", "temporary items"),
        # Windows
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "system volume information"),
        *("$recycle.bin", "recycler", "recycled"),
        # Linux and its desktops
        *("lost+found", ".directory", ".thumbnails", ".thumb", ".thumbs", ".xvpics", ".trash", ".cache"),
        # disks of a network, Android, and programs that manage photographs
        *("@eadir", "#recycle", "@recycle", "#snapshot", "@tmp", "@recently-snapshot", ".@__thumb", ".nomedia"),
        *("picasa.ini", ".picasa.ini", ".picasaoriginals", "zbthumbnail.info", "pspbrwse.jbf", ".comments"),
        *(".dropbox", ".dropbox.cache", ".dropbox.attr", ".stfolder", ".stversions", ".tmp.drivedownload"),
        # what programmers have beside their data
        *(".git", ".gitignore", ".gitattributes", ".gitkeep", ".gitmodules", ".keep", ".svn", ".hg", ".dvc"),
        *(".dvcignore", ".idea", ".vscode", ".venv", ".ipynb_checkpoints", "__pycache__", ".amlignore"),
    )
)
_OF_SYSTEMS_AS = re.compile(
    r"\._.*|\.trash-.*|\.nfs.*|\.fuse_hidden.*|\.syncthing\..*|.*@syno(eastream|resource)", re.DOTALL
)
_DOCUMENT = re.compile(
    r".*\.(txt|md|rst|rtf|pdf|docx?|odt|html?|css|js|csv|tsv|xlsx?|ods|json|jsonl|xml|ya?ml|toml|ini|cfg|conf|log|py"
    r"|ipynb|sh|bat|m|r|mat|npy|npz|pkl|pt|pth|h5|keras|onnx|parquet|db|sqlite3?|zip|tar|gz|tgz|bz2|xz|7z|rar|sha\d*"
    r"|md5|url|lnk|names|data|cache|bib|tex|torrent)|readme|licen[cs]e|copying|authors|changelog|makefile|dockerfile",
    re.DOTALL,
)


def is_litter(name: str) -> bool:
    """Whether a system or a program leaves files or folders of this name behind."""
    name = name.casefold()
    return name in _OF_SYSTEMS or _OF_SYSTEMS_AS.fullmatch(name) is not None


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name belongs to nobody's data: it is litter, or hidden."""
    return name.startswith(".") or is_litter(name)


def may_be_image(name: str) -> bool:
    """Whether a file that stands beside the data, and is not opened, may be an image: it is called like no document."""
    return _DOCUMENT.fullmatch(name.casefold()) is None
